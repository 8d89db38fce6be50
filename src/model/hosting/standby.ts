/**
 * What becomes of a client when its model's process is killed. QEMU 11.1 takes a server that hangs up badly: it may abort,
 * and the guest's kernel waits a minute for the function's reset. So a process beside the model holds the client's
 * connection, too, and goes on answering when the model is gone: as a device whose configuration space is there, and whose
 * registers read as all ones (standby-server.ts). A request that the model had taken and not answered stays without a reply; one
 * of which it had taken the header alone ends the connection after all.
 */
import { bunProgram, ownFile } from "../../os/bun-program.ts";
import type { Fd } from "../../os/fd.ts";
import { FdStream, socketPair } from "../../os/socket.ts";
import type { ClientKeeper } from "../server.ts";

/** A standby that takes longer to hear of a client than this is stuck. */
const SEND_MS = 500;

/** The model's side of it: who the client is, each time that changes. `log` is told once when the standby is of no use. */
export class Standby implements ClientKeeper {
  #control: FdStream | undefined;
  readonly #log: (line: string) => void;
  readonly #word = new Uint8Array(new ArrayBuffer(1));

  constructor(control: Fd, log: (line: string) => void) {
    this.#control = new FdStream(control);
    this.#log = log;
  }

  /** Holds a client's connection, beside the model. */
  hold(connection: Fd): void {
    this.#send([connection.number]);
  }

  drop(): void {
    this.#send([]);
  }

  #send(fds: number[]): void {
    try {
      this.#control?.send(this.#word, fds, SEND_MS);
    } catch (error) {
      // The model serves without it as well.
      this.#control = undefined;
      this.#log(`the standby is of no use any more: ${String(error)}`);
    }
  }
}

/** Starts a standby for the model of a file; returns the model's end of its control socket. Throws Error, SystemError. */
export function startStandby(modelFile: string): Fd {
  const program = ownFile("./standby-program.ts", import.meta.url);
  const [ours, theirs] = socketPair();
  try {
    Bun.spawn([...bunProgram(program), "3", modelFile], {
      detached: true, // it outlives whoever signals the model's process group
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
