/**
 * Toggles a bit of a device's register ten times: a script for one occasion, in a guest or on a machine with a card.
 *
 *     bun toggle.ts [DEVICE] [OFFSET] [BIT]
 */
import { openDevice } from "vfiokit";

const [spec = "model:./counter/counter.model.ts", offset = "0x04", bit = "0"] = process.argv.slice(2);
using device = openDevice(spec);
const register = device.bars[0]!;
const mask = 1 << Number(bit);

for (let i = 0; i < 10; i++) {
  const before = register.read32(Number(offset));
  register.write32(Number(offset), (before ^ mask) >>> 0);
  console.log(`0x${before.toString(16)} -> 0x${register.read32(Number(offset)).toString(16)}`);
}
