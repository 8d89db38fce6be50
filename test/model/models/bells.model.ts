/** Sixteen bells: a write to RING raises the vector of its number. */
import { defineModel } from "../../../src/exports/model.ts";
import type { RegisterTable } from "../../../src/exports/registers.ts";

export const registers = {
  RING: { offset: 0x00, mode: "wo", about: "Raises the vector of this number" },
  RANG: { offset: 0x04, mode: "ro", about: "How often it rang" },
  HUSH: { offset: 0x08, mode: "wo", about: "Lowers INTA#" },
} as const satisfies RegisterTable;

export default defineModel({
  title: "bells",
  id: { vendor: 0x1234, device: 0xbe11 },
  bars: [{ registers }, { memoryBytes: 4096 }, undefined, undefined, undefined, { memoryBytes: 4096 }],
  interrupts: { msi: 16, msix: 8 },
  create: (device) => ({
    RING: {
      write(value) {
        device.set("RANG", device.get("RANG") + 1);
        device.raise(value);
      },
    },
    HUSH: { write: () => device.lower() },
  }),
});
