/** The models that are served, each as a process of its own. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { SystemError } from "../../../src/os/errno.ts";
import type { Fd } from "../../../src/os/fd.ts";
import { connectUnix } from "../../../src/os/socket.ts";

const examples = join(import.meta.dir, "../../../examples");

/** What model.ts is told, and the first word of configuration space. */
export const models = {
  vp9: { args: ["--codec=null"], id: 0x7022_10ee },
  edu: { args: [join(examples, "edu/edu.model.ts")], id: 0x11e8_1234 },
  nvme: { args: [`${join(examples, "nvme/nvme.model.ts")}?size=1`], id: 0x0a4e_1234 },
} as const;
export type ModelName = keyof typeof models;
export const modelNames = Object.keys(models) as ModelName[];

const START_MS = 20_000;
/** How long connecting may take while the server still closes the connection before. */
const CONNECT_MS = 5000;

/** A served model, and what it says. */
export class ServedModel implements AsyncDisposable {
  readonly name: ModelName;
  readonly pid: number;
  readonly #child: Subprocess;
  readonly #folder: string;
  readonly #log: number;
  readonly #text = new Uint8Array(1 << 16);

  private constructor(name: ModelName, child: Subprocess, folder: string) {
    this.name = name;
    this.pid = child.pid;
    this.#child = child;
    this.#folder = folder;
    this.#log = openSync(join(folder, "log"), "r");
  }

  /** Resolves when clients can connect. Throws Error. */
  static async start(name: ModelName): Promise<ServedModel> {
    const folder = mkdtempSync(join(tmpdir(), "vfiokit-campaign-"));
    const socket = join(folder, "socket");
    const program = [process.execPath, join(import.meta.dir, "../../model.ts"), "--socket", socket];
    const log = openSync(join(folder, "log"), "w");
    const child = Bun.spawn([...program, ...models[name].args], { stdio: ["ignore", log, log] });
    closeSync(log);
    const served = new ServedModel(name, child, folder);
    try {
      // The line that says so is printed after listen().
      for (const deadlineMs = performance.now() + START_MS; !served.newLines().includes("on vfio-user:"); ) {
        if (served.hasEnded || performance.now() > deadlineMs)
          throw new Error(`${program.join(" ")} does not start`);
        await Bun.sleep(5);
      }
      return served;
    } catch (error) {
      await served[Symbol.asyncDispose]();
      throw error;
    }
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Throws SystemError, and Error if others wait to be served for long. */
  connect(): Fd {
    for (const deadlineMs = performance.now() + CONNECT_MS; ; ) {
      const fd = this.tryToConnect();
      if (fd) return fd;
      if (performance.now() > deadlineMs)
        throw new Error(`no client could connect to ${this.name} for ${CONNECT_MS} ms`);
      Bun.sleepSync(1);
    }
  }

  /** Undefined if too many others wait to be served. Throws SystemError. */
  tryToConnect(): Fd | undefined {
    try {
      return connectUnix(join(this.#folder, "socket"));
    } catch (error) {
      if (error instanceof SystemError && error.code === "EAGAIN") return undefined;
      throw error;
    }
  }

  /** What it has printed since the last time. */
  newLines(): string {
    let lines = "";
    for (let got = this.#text.length; got === this.#text.length; ) {
      got = readSync(this.#log, this.#text, 0, this.#text.length, null);
      lines += new TextDecoder().decode(this.#text.subarray(0, got));
    }
    return lines;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    closeSync(this.#log);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
