/** What the model's tests share: the program as a child process, and messages that no polite client would send. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RawClient } from "../../scripts/campaign/raw-client.ts";
import type { PciDevice } from "../../src/device/device.ts";
import { openDevice } from "../../src/device/open.ts";
import { connectUnix } from "../../src/os/socket.ts";

export {
  concat,
  pack,
  QEMU_VERSION,
  RawClient,
  type Reply,
  sendWithFds,
} from "../../scripts/campaign/raw-client.ts";

/** Longer than anything here takes, and shorter than bun's own limit, which says nothing about what it waited for. */
export const LIMIT_MS = 4500;
export const PROGRAM = join(import.meta.dir, "../../scripts/model.ts");

/** Waits until `look` gives something other than undefined and false. Fails, saying `what` it waited for. */
export async function until<T>(what: string, look: () => T | undefined | false): Promise<T> {
  const deadline = performance.now() + LIMIT_MS;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`waited ${LIMIT_MS} ms for ${what}`);
    await Bun.sleep(1);
  }
}

/** A folder that is gone at the end of the block. */
export function tempFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "vfiokit-model-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** How often memory of this name is mapped in a process. */
export const mappings = (pid: number, name: string) =>
  readFileSync(`/proc/${pid}/maps`, "latin1")
    .split("\n")
    .filter((line) => line.includes(name)).length;

export interface Server extends AsyncDisposable {
  readonly pid: number;
  readonly path: string;
  readonly exited: Promise<number>;
  readonly stopped: () => boolean;
  kill(signal: NodeJS.Signals): void;
  connect(): RawClient;
  /** The polite client: memory decode and bus mastering on. */
  open(): PciDevice;
}

/** model.ts on a socket of its own, once it listens. */
export function startServer(...options: string[]): Promise<Server> {
  const folder = tempFolder();
  return startServerAt(join(folder.path, "model.sock"), ...options).then(
    (server) => ({
      ...server,
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        folder[Symbol.dispose]();
      },
    }),
    (error) => {
      folder[Symbol.dispose]();
      throw error;
    },
  );
}

/** model.ts on a socket that the caller names. */
export async function startServerAt(path: string, ...options: string[]): Promise<Server> {
  const child = Bun.spawn([process.execPath, PROGRAM, "--socket", path, ...options], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  // The line that says so is printed after listen().
  const reader = child.stderr.getReader();
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  for (let text = ""; !text.includes("vfio-user:"); ) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`model.ts ended: ${text}`);
    text += new TextDecoder().decode(value);
  }
  clearTimeout(timer);
  reader.releaseLock();
  return {
    pid: child.pid,
    path,
    exited: child.exited,
    stopped: () => child.exitCode !== null || child.signalCode !== null,
    kill: (signal) => child.kill(signal),
    connect: () => new RawClient(connectUnix(path)),
    open: () => openDevice(`vfio-user:${path}`),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
