/**
 * Keeps a client connected when its model's process is killed. QEMU 11.1 copes badly with a server that hangs
 * up: it may abort, and the guest's kernel waits a minute for the function's reset. So a standby process also
 * holds the client's connection. When the model is gone, it answers as a device that still has configuration
 * space, but whose registers read as all ones (standby-server.ts). A request that the model had received but
 * not answered gets no reply. If the model had received only a request's header, the connection ends after
 * all.
 */
import { bunProgram, ownFile } from "../../os/bun-program.ts";
import type { Fd } from "../../os/fd.ts";
import { FdStream, socketPair } from "../../os/socket.ts";
import { STANDBY_MS } from "../limits.ts";
import type { ClientKeeper } from "../server.ts";

/** The model's side: tells the standby when the client changes. `log` gets one line if the standby fails. */
export class Standby implements ClientKeeper {
  #control: FdStream | undefined;
  readonly #log: (line: string) => void;
  readonly #word = new Uint8Array(new ArrayBuffer(1));

  constructor(control: Fd, log: (line: string) => void) {
    this.#control = new FdStream(control);
    this.#log = log;
  }

  /** Passes a copy of a client's connection to the standby. */
  hold(connection: Fd): void {
    this.#send([connection.number]);
  }

  drop(): void {
    this.#send([]);
  }

  #send(fds: number[]): void {
    try {
      this.#control?.send(this.#word, fds, STANDBY_MS);
    } catch (error) {
      // The model serves without a standby, too.
      this.#control = undefined;
      this.#log(`the standby no longer works: ${String(error)}`);
    }
  }
}

/** Starts a standby for a model's file. Returns our end of the control socket. Throws Error, SystemError. */
export function startStandby(modelFile: string): Fd {
  const program = ownFile("./standby-program.ts", import.meta.url);
  const [ours, theirs] = socketPair();
  try {
    Bun.spawn([...bunProgram(program), "3", modelFile], {
      detached: true, // it survives a signal to the model's process group
      stdio: ["ignore", "ignore", "inherit", theirs.number],
    }).unref();
    return ours;
  } catch (error) {
    ours[Symbol.dispose]();
    throw error;
  } finally {
    theirs[Symbol.dispose]();
  }
}
