/**
 * For each byte that comes on descriptor 4: fills the empty blocking eventfd that is descriptor 3, some time later,
 * and gives the byte back. A process, since a thread that waits in a write could not be ended.
 */
import { ptr } from "bun:ffi";
import { libc } from "../../src/os/libc.ts";

const [EVENT, TURNS] = [3, 4];
/** Within which a signal comes, after the byte. */
const WITHIN_NS = 400_000;

const full = new BigUint64Array(new ArrayBuffer(8)).fill(2n ** 64n - 2n);
const turn = new Uint8Array(new ArrayBuffer(1));
while (Number(libc.read(TURNS, ptr(turn), 1)) === 1) {
  const end = Bun.nanoseconds() + Math.random() * WITHIN_NS;
  while (Bun.nanoseconds() < end);
  libc.write(EVENT, ptr(full), 8);
  libc.write(TURNS, ptr(turn), 1);
}
