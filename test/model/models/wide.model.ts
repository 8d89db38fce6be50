/** A window of 1 GiB with a 64-bit address, prefetchable, and a register that tells its first and its last word. */
import { defineModel } from "../../../src/exports/model.ts";
import type { RegisterTable } from "../../../src/exports/registers.ts";

export const WINDOW_BYTES = 2 ** 30;
export const registers = {
  FIRST: { offset: 0, mode: "ro", about: "The window's first word" },
  LAST: { offset: 4, mode: "ro", about: "The window's last word" },
} as const satisfies RegisterTable;

export default defineModel({
  title: "wide window",
  id: { vendor: 0x1234, device: 0x64b1 },
  bars: [{ registers }, undefined, { memoryBytes: WINDOW_BYTES, addressBits: 64, prefetchable: true }],
  interrupts: { msix: 2 },
  create(device) {
    const word = (at: number) => ({
      read: () =>
        new DataView(device.memory(2).buffer, device.memory(2).byteOffset + at, 4).getUint32(0, true),
    });
    return { FIRST: word(0), LAST: word(WINDOW_BYTES - 4) };
  },
});
