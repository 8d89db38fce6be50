/** A model that looks at its memory once, and writes to it later. */
import { defineModel } from "../../src/exports/model.ts";

export default defineModel({
  title: "a view of memory",
  id: { vendor: 0x1234, device: 0x3e3e },
  bars: [
    { registers: { FIRST: { offset: 0, mode: "wo", about: "Memory's first byte" } } },
    { memoryBytes: 4096 },
  ],
  create(device) {
    const memory = device.memory(1);
    const write = (value: number) => {
      memory[0] = value;
    };
    return { FIRST: { write } };
  },
});
