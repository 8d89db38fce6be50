/** Maps the 1 GiB BAR of wide.model.ts through VFIO, and asks the model what lies at its ends. */
import { bind } from "../../../src/exports/bus.ts";
import { openDevice, openRegisters } from "../../../src/index.ts";
import { registers, WINDOW_BYTES } from "../../model/models/wide.model.ts";

await bind("0000:00:01.0");
using device = openDevice("0000:00:01.0");
const { FIRST, LAST } = openRegisters(registers, device.bars[0]!);
const window = device.bars[2]!;
window.write32(0, 0x1111);
window.write32(WINDOW_BYTES - 4, 0x2222);
console.log(
  JSON.stringify({
    sizeBytes: window.sizeBytes,
    mapped: window.isMapped(0, WINDOW_BYTES),
    type: device.config.read32(0x18) & 0xf,
    ends: [FIRST.read(), LAST.read()],
  }),
);
