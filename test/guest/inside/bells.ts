/**
 * `bells.ts KIND COUNT`: raises vector N of bells.model.ts N + 1 times, each when the one before has arrived (interrupts that are
 * pending at once may be merged), and prints how many arrived at each. A masked vector is tried as well: the first one, disabled.
 */
import { type InterruptKind, openDevice, openRegisters } from "../../../src/index.ts";
import { registers } from "../../model/models/bells.model.ts";

const [kind, count] = process.argv.slice(2) as [InterruptKind, string];
using device = openDevice("0000:00:01.0");
const { RING, RANG } = openRegisters(registers, device.bars[0]!);
const vectors = device.enableInterrupts(kind, Number(count));
const arrived = vectors.map((vector, number) => {
  let sum = 0;
  for (let n = 0; n <= number; n++) {
    RING.write(number);
    sum += vector.wait(5000);
  }
  return sum;
});
const late = vectors.map((vector) => vector.take());
device.disableInterrupts(kind);
RING.write(0);
console.log(JSON.stringify({ arrived, late, rang: RANG.read(), disabled: vectors[0]!.wait(200) }));
