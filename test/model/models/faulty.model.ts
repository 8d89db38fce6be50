/** Each write to RING, told where in memory to write it, is copied there and raises an interrupt. */
import { defineModel } from "../../../src/exports/model.ts";

const registers = {
  RING: { offset: 0, mode: "rw", reset: 7, about: "Raises an interrupt when it is written" },
  TARGET: { offset: 4, mode: "rw", reset: 0, about: "Where the value goes, by DMA" },
} as const;

export default defineModel({
  title: "faulty",
  id: { vendor: 0x1234, device: 0xfa17 },
  bars: [{ registers }],
  create: (device) => ({
    RING: {
      write(value) {
        device.set("RING", value);
        device.raise();
        const target = device.get("TARGET");
        if (target > 0) device.writeMemory(target, new Uint8Array([value]));
      },
    },
  }),
});
