/**
 * Fills the blocking eventfd that it has as descriptor 3 and empties it, as fast as it can, until it is killed. It
 * is a process: a thread that waits in a write could not be ended, and would use whatever has the number next.
 */
import { ptr } from "bun:ffi";
import { libc } from "../../src/os/libc.ts";
import { POLLOUT, poll } from "../../src/os/poll.ts";

const FD = 3;
// Room is left for what others add meanwhile: a write that finds none waits for good.
const much = new BigUint64Array(new ArrayBuffer(8)).fill(2n ** 64n - 256n);
const one = new BigUint64Array(new ArrayBuffer(8)).fill(1n);
const got = new BigUint64Array(new ArrayBuffer(8));
console.log("filling");
for (;;) {
  libc.write(FD, ptr(much), 8);
  while (poll([{ fd: FD, events: POLLOUT }], 0)[0] === POLLOUT) libc.write(FD, ptr(one), 8);
  libc.read(FD, ptr(got), 8);
}
