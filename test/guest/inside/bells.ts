/**
 * `bells.ts KIND COUNT`: raises vector N of bells.model.ts N + 1 times, each when the one before has arrived (interrupts that are
 * pending at once may be merged), and prints how many arrived at each. Then one is raised while the function masks MSI-X (PCIe
 * 6.0, section 7.7.2.2), which makes it wait, and one that is disabled.
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

/** VFIO does not let its user write the mask, so this goes around it. */
function maskFunction(mask: boolean): void {
  const words = ["setpci", "-s", "00:01.0", `CAP_MSIX+2.w=${mask ? "4000" : "0"}:4000`];
  const { exitCode, stderr } = Bun.spawnSync(words);
  if (exitCode !== 0) throw new Error(stderr.toString());
}
const masked: number[] = [];
if (kind === "msix") {
  const last = vectors.at(-1)!;
  maskFunction(true);
  RING.write(vectors.length - 1);
  masked.push(last.wait(200));
  maskFunction(false);
  masked.push(last.wait(5000));
}

device.disableInterrupts(kind);
RING.write(0);
console.log(JSON.stringify({ arrived, late, masked, rang: RANG.read(), disabled: vectors[0]!.wait(200) }));
