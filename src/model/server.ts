/**
 * Serves a device model over vfio-user to one client after another: QEMU's vfio-user-pci, or vfiokit's own
 * client. Runs as a blocking loop on its own thread. It never waits for the device, and waits at most five
 * seconds for a client that stops in the middle of a message.
 */

import { SystemError } from "../os/errno.ts";
import type { EventFd } from "../os/eventfd.ts";
import type { Fd } from "../os/fd.ts";
import { POLLIN, poll } from "../os/poll.ts";
import { acceptUnix, Disconnected, SocketTimeout } from "../os/socket.ts";
import { Config } from "../pci/config-offsets.ts";
import { ProtocolError } from "../protocol/vfio-user.ts";
import { ClientSession } from "./client-session.ts";
import type { DeviceModel, Host, ModelLog } from "./device-model.ts";
import { DmaTable } from "./dma.ts";
import { Interrupts } from "./interrupts.ts";

/**
 * Where clients connect: one is already connected (`agreed`: and has negotiated VERSION), or any number
 * connect to a listening socket, and the standby learns of each.
 */
export type Clients =
  | { readonly connection: Fd; readonly agreed?: boolean }
  | { readonly listener: Fd; readonly standby?: ClientKeeper | undefined };

/** Learns who the client is, so it can take the server's place. */
export interface ClientKeeper {
  hold(connection: Fd): void;
  /** The client disconnected, or was dropped. */
  drop(): void;
}

/** Options for `serve`. */
export interface ServeOptions {
  /** See DmaTable. */
  readonly trusting?: boolean;
  /** Called when the device has been created, before any client is served. */
  readonly onCreated?: () => void;
}

/**
 * Serves until `stop` is signalled, or until the only connection ends. `build` creates the model for a host.
 * `log` gets the device's lines, and one for each client that connects, disconnects, or breaks the protocol. An error while a
 * client is served, even from the model, drops that client; the next one finds the device in its power-on
 * state.
 */
export function serve(
  clients: Clients,
  stop: EventFd,
  build: (host: Host) => DeviceModel,
  log: ModelLog,
  { trusting = false, onCreated }: ServeOptions = {},
): void {
  const dma = new DmaTable(trusting);
  let interrupts: Interrupts | undefined;
  const model = build({
    dma,
    raise: (vector) => interrupts?.raise(vector),
    lower: () => interrupts?.lower(),
    die: () => void process.kill(process.pid, "SIGKILL"),
    log: (line) => log(line, "device"),
  });
  onCreated?.();
  const pin = new Uint8Array(1);
  model.config.read(Config.INTERRUPT_PIN, pin);
  interrupts = new Interrupts(model.config, pin[0] !== 0, model.msiVectors, model.msixVectors);

  let connection =
    "connection" in clients
      ? new ClientSession(clients.connection, model, dma, interrupts, log, clients.agreed)
      : undefined;
  const standby = "standby" in clients ? clients.standby : undefined;
  const forget = () => {
    if (connection) standby?.drop();
    connection?.[Symbol.dispose]();
    connection = undefined;
    interrupts.clear();
    model.config.reset();
    model.reset();
    dma.unmapAll();
  };
  const guarded = (serveClient: () => void) => {
    try {
      serveClient();
    } catch (error) {
      if (error instanceof Disconnected) log("the client disconnected", "client");
      else log(`${connection ? "dropped the client" : "reset the device"}: ${describe(error)}`);
      forget();
    }
  };

  for (;;) {
    const listening = !connection && "listener" in clients ? clients.listener : undefined;
    const source = (connection?.fd ?? listening)?.number;
    if (source === undefined) break;
    const fds = [stop.fd.number, source, ...model.wakeups.map((wakeup) => wakeup.fd)];
    const nextMs = model.nextTimeMs();
    const waitMs = Number.isFinite(nextMs) ? Math.max(0, nextMs - performance.now()) : -1;
    const ready = poll(
      fds.map((fd) => ({ fd, events: POLLIN })),
      connection?.hasWaiting ? 0 : waitMs,
    );
    if (ready[0]) break;
    guarded(() => {
      for (const [i, wakeup] of model.wakeups.entries()) if (ready[i + 2]) wakeup.onReadable();
      if (performance.now() >= nextMs) model.onTime();
      connection?.check();
    });
    if (!ready[1] && !connection?.hasWaiting) continue;
    if (listening) {
      connection = accept(
        listening,
        (fd) => {
          model.admit();
          return new ClientSession(fd, model, dma, interrupts, log);
        },
        log,
      );
      if (connection) standby?.hold(connection.fd);
    } else guarded(() => connection?.handleOne());
  }
  forget();
  model[Symbol.dispose]?.();
}

/** Accepts the next client; undefined if it is already gone, or no descriptor or memory is left for it. */
function accept(listener: Fd, open: (fd: Fd) => ClientSession, log: ModelLog): ClientSession | undefined {
  let fd: Fd | undefined;
  try {
    fd = acceptUnix(listener);
    const connection = open(fd);
    log("a client connected", "client");
    return connection;
  } catch (error) {
    fd?.[Symbol.dispose]();
    log(`could not accept a client: ${describe(error)}`);
    return undefined;
  }
}

/** Describes an error: in one line if a client can cause it, else with its stack. */
function describe(error: unknown): string {
  const known =
    error instanceof ProtocolError || error instanceof SocketTimeout || error instanceof SystemError;
  if (known) return error.message;
  return `internal error of the model: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
