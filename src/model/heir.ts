/**
 * What becomes of a client when its model's process is killed. QEMU 11.1 takes a server that hangs up badly: it aborts
 * when that happens in the middle of a message, and the guest's kernel waits a minute for the function's reset. So a
 * process beside the model holds the client's connection, too, and goes on answering when the model is gone: as a device
 * whose configuration space is there, and whose registers read as all ones (inherit.ts).
 */
import type { Fd } from "../os/fd.ts";
import { Disconnected, FdStream, socketPair } from "../os/socket.ts";

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
