/** A Worker that fills a blocking eventfd and empties it, as fast as it can, until the flag is set. */
import { ptr } from "bun:ffi";
import { libc } from "../../src/os/libc.ts";
import { POLLOUT, poll } from "../../src/os/poll.ts";

declare const self: Worker;

/** The descriptor, and a word that is set when the thread has to stop. It says "filling" and "stopped". */
export interface FillerOrder {
  readonly fd: number;
  readonly stop: Int32Array;
}

self.onmessage = ({ data: { fd, stop } }: MessageEvent<FillerOrder>) => {
  // Room is left for what others add meanwhile: a write that finds none waits for good.
  const much = new BigUint64Array(new ArrayBuffer(8)).fill(2n ** 64n - 16n);
  const one = new BigUint64Array(new ArrayBuffer(8)).fill(1n);
  const got = new BigUint64Array(new ArrayBuffer(8));
  self.postMessage("filling");
  while (Atomics.load(stop, 0) === 0) {
    libc.write(fd, ptr(much), 8);
    while (poll([{ fd, events: POLLOUT }], 0)[0] === POLLOUT) libc.write(fd, ptr(one), 8);
    libc.read(fd, ptr(got), 8);
  }
  self.postMessage("stopped");
};
