/**
 * What becomes of a client when its model's process is killed. QEMU 11.1 takes a server that hangs up badly: it aborts
 * when that happens in the middle of a message, and the guest's kernel waits a minute for the function's reset. So a
 * process beside the model holds the client's connection, too, and goes on answering when the model is gone: as a device
 * whose configuration space is there, and whose registers read as all ones.
 */
import { EventFd } from "../os/eventfd.ts";
import { Fd } from "../os/fd.ts";
import { Disconnected, FdStream, socketPair } from "../os/socket.ts";
import type { BarModel, DeviceModel } from "./device-model.ts";
import { serve } from "./server.ts";

/** The model's side of it: who the client is, each time that changes. */
export class Heir implements Disposable {
  readonly #control: FdStream;
  readonly #word = new Uint8Array(new ArrayBuffer(1));

  constructor(control: Fd) {
    this.#control = new FdStream(control);
  }

  /** Holds a client's connection, beside the model. */
  hold(connection: Fd): void {
    this.#send([connection.number]);
  }

  /** The client left, or was sent away. */
  drop(): void {
    this.#send([]);
  }

  #send(fds: number[]): void {
    try {
      this.#control.send(this.#word, fds);
    } catch (error) {
      // The model serves without it as well.
      if (!(error instanceof Disconnected)) throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#control[Symbol.dispose]();
  }
}

/** Starts an heir's program, which takes the number of a descriptor; returns the model's end of its control socket. */
export function startHeir(program: string): Fd {
  const [ours, theirs] = socketPair();
  Bun.spawn([process.execPath, program, "3"], {
    detached: true, // it outlives whoever signals the model's process group
    stdio: ["ignore", "ignore", "inherit", theirs.number],
  }).unref();
  theirs[Symbol.dispose]();
  return ours;
}

/**
 * An heir's program: waits until the model is gone, and then serves the client that it left until that leaves, too.
 * `device` is what is left of the model's device: its configuration space, and how large its BARs are.
 */
export function inherit(
  controlFd: number,
  device: Pick<DeviceModel, "config" | "msiVectors"> & { barBytes: readonly number[] },
): void {
  const control = new FdStream(new Fd(controlFd));
  const word = new Uint8Array(new ArrayBuffer(1));
  let client: Fd | undefined;
  for (;;) {
    try {
      const [connection] = control.receive(word, -1);
      client?.[Symbol.dispose]();
      client = connection;
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error;
      break;
    }
  }
  if (!client) return;
  const gone: DeviceModel = {
    config: device.config,
    msiVectors: device.msiVectors,
    bars: device.barBytes.map((sizeBytes) => (sizeBytes > 0 ? allOnes(sizeBytes) : undefined)),
    reset: () => {},
    wakeups: [],
    nextTimeMs: () => Number.POSITIVE_INFINITY,
    onTime: () => {},
  };
  const log = (line: string) => console.error(`in place of the model that is gone: ${line}`);
  serve({ connection: client, agreed: true }, new EventFd(), () => gone, log);
}

function allOnes(sizeBytes: number): BarModel {
  return { kind: "registers", sizeBytes, read32: () => 0xffff_ffff, write32: () => {} };
}
