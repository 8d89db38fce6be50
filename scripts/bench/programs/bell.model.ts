/** A device that raises an interrupt at each write of its one register. */
import { defineModel } from "../../../src/exports/model.ts";

export default defineModel({
  title: "bell",
  id: { vendor: 0x1234, device: 0xbe11 },
  bars: [{ registers: { BELL: { offset: 0, mode: "rw", reset: 0, about: "A write raises an interrupt" } } }],
  create: (device) => ({ BELL: { write: () => device.raise() } }),
});
