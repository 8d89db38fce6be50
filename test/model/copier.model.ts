/** A device that copies in the host's memory. */
import { defineModel } from "../../src/model/define-model.ts";
import type { RegisterTable } from "../../src/registers/table.ts";

export const registers = {
  SOURCE: { offset: 0, width: 64, mode: "rw", about: "Address to copy from" },
  DESTINATION: { offset: 8, width: 64, mode: "rw", about: "Address to copy to" },
  COUNT: { offset: 0x10, mode: "wo", about: "Copies as many bytes, and raises the interrupt" },
  DONE: { offset: 0x14, mode: "ro", about: "Copies made" },
  FAILED: { offset: 0x18, mode: "ro", about: "Copies that could not be made" },
} as const satisfies RegisterTable;

export default defineModel({
  title: "copier",
  id: { vendor: 0x1234, device: 0xc0b1 },
  bars: [{ registers }],
  create: (device) => ({
    COUNT: {
      write: (sizeBytes) => {
        const bytes = device.readMemory(Number(device.get("SOURCE")), sizeBytes);
        const done = bytes !== undefined && device.writeMemory(Number(device.get("DESTINATION")), bytes);
        const counter = done ? "DONE" : "FAILED";
        device.set(counter, device.get(counter) + 1);
        device.raise();
      },
    },
  }),
});
