import { open, read, readFileSync, write } from "node:fs";
import { errnoName } from "./media-error.ts";

const O_APPEND = 0o2000;

type Callback = (error: Error | null, result: number) => void;

function promised(call: (done: Callback) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    call((error, result) => (error ? reject(error) : resolve(result)));
  });
}

/** Retries a call on a descriptor that may be non-blocking: sleeps 1 to 16 ms after each EAGAIN. */
async function patiently(call: (done: Callback) => void): Promise<number> {
  for (let delayMs = 1; ; delayMs = Math.min(16, delayMs * 2)) {
    try {
      return await promised(call);
    } catch (error) {
      const code = errnoName(error);
      if (code === "EAGAIN") await Bun.sleep(delayMs);
      else if (code !== "EINTR") throw error;
    }
  }
}

/**
 * Opens a file off the main thread: opening a FIFO waits for its other end, and signals must still be served.
 */
export function openDescriptor(path: string, flags: "r" | number): Promise<number> {
  return promised((done) => open(path, flags, done));
}

/** Reads up to the room in `into` from `offset` on, off the main thread; 0 at the end of input. */
export function readSome(fd: number, into: Uint8Array, offset: number): Promise<number> {
  return patiently((done) => read(fd, into, offset, into.length - offset, null, done));
}

/** Writes up to the rest of `from` from `offset` on, off the main thread; returns the count, at least 1. */
export function writeSome(fd: number, from: Uint8Array, offset: number): Promise<number> {
  return patiently((done) => write(fd, from, offset, from.length - offset, null, done));
}

/**
 * An inherited descriptor's offset in bytes, and whether it has O_APPEND, from /proc/self/fdinfo (proc(5)).
 */
export function descriptorState(fd: number): { position: number; appends: boolean } {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
  const field = (name: string) => text.match(new RegExp(`^${name}:\\s*(\\d+)`, "m"))?.[1] ?? "0";
  return { position: Number(field("pos")), appends: (Number.parseInt(field("flags"), 8) & O_APPEND) !== 0 };
}
