/**
 * Serves a device model over vfio-user, to one client after the other: QEMU's vfio-user-pci, or vfiokit's own client.
 * Runs as a blocking loop on a thread of its own, and waits for nothing that a device does; for a client that stops in the middle of a
 * message at most five seconds.
 */

import { SystemError } from "../os/errno.ts";
import type { EventFd } from "../os/eventfd.ts";
import type { Fd } from "../os/fd.ts";
import { POLLIN, poll } from "../os/poll.ts";
import { acceptUnix, Disconnected, SocketTimeout } from "../os/socket.ts";
import { Config } from "../pci/config-offsets.ts";
import { ProtocolError } from "../protocol/vfio-user.ts";
import { ClientSession } from "./client-session.ts";
import type { DeviceModel, Host } from "./device-model.ts";
import { DmaTable } from "./dma.ts";
import { Interrupts } from "./interrupts.ts";

/**
 * How clients come: one that is connected already (and has had its VERSION where `agreed`), or any number through a
 * listening socket, each of them known to the standby.
 */
export type Clients =
  | { readonly connection: Fd; readonly agreed?: boolean }
  | { readonly listener: Fd; readonly standby?: ClientKeeper | undefined };

/** Is told who the client is, so that it can go on in the server's place. */
export interface ClientKeeper {
  hold(connection: Fd): void;
  /** The client left, or was sent away. */
  drop(): void;
}

export interface ServeOptions {
  /** As DmaTable has it. */
  readonly trusting?: boolean;
}

/**
 * Serves until `stop` is signalled, or until the only connection ends. `build` gets the host's side and makes the
 * model. `log` gets one line for each client that comes, goes, or breaks the protocol. Whatever is thrown while a client
 * is served, by the model as well, costs that client its connection; the next one finds the device as after power-on.
 */
export function serve(
  clients: Clients,
  stop: EventFd,
  build: (host: Host) => DeviceModel,
  log: (line: string) => void,
  { trusting = false }: ServeOptions = {},
): void {
  const dma = new DmaTable(trusting);
  let interrupts: Interrupts | undefined;
  const model = build({ dma, raise: () => interrupts?.raise(), lower: () => interrupts?.lower() });
  const pin = new Uint8Array(1);
  model.config.read(Config.INTERRUPT_PIN, pin);
  interrupts = new Interrupts(model.config, pin[0] !== 0, model.msiVectors);

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
      if (error instanceof Disconnected) log("the client disconnected");
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
    const ready = poll(
      fds.map((fd) => ({ fd, events: POLLIN })),
      Number.isFinite(nextMs) ? Math.max(0, nextMs - performance.now()) : -1,
    );
    if (ready[0]) break;
    guarded(() => {
      for (const [i, wakeup] of model.wakeups.entries()) if (ready[i + 2]) wakeup.onReadable();
      if (performance.now() >= nextMs) model.onTime();
    });
    if (!ready[1]) continue;
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
}

/** The next client; undefined where it is gone already, or there is no descriptor or no memory left for it. */
function accept(
  listener: Fd,
  open: (fd: Fd) => ClientSession,
  log: (line: string) => void,
): ClientSession | undefined {
  let fd: Fd | undefined;
  try {
    fd = acceptUnix(listener);
    const connection = open(fd);
    log("a client connected");
    return connection;
  } catch (error) {
    fd?.[Symbol.dispose]();
    log(`could not take a client: ${describe(error)}`);
    return undefined;
  }
}

/** An error that may come of what a client does, in a line; of another one also where it was thrown. */
function describe(error: unknown): string {
  const known =
    error instanceof ProtocolError || error instanceof SocketTimeout || error instanceof SystemError;
  if (known) return error.message;
  return `an error of the model's own: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
