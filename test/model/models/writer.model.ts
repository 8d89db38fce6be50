/** A device that writes to its host's memory again and again from the moment it knows an address. */
import { defineModel } from "vfiokit/model";

const registers = {
  TARGET: { offset: 0x00, width: 64, mode: "rw", about: "The address; 0 ends it" },
  WRITES: { offset: 0x08, mode: "ro", about: "How often it has written" },
} as const;
const BYTES = 4096;

export default defineModel({
  title: "writer",
  id: { vendor: 0x1234, device: 0x3717 },
  bars: [{ registers }],
  create(device) {
    const pattern = new Uint8Array(BYTES).fill(0xee);
    const write = () => {
      const target = Number(device.get("TARGET"));
      if (target === 0) return;
      if (device.writeMemory(target, pattern)) device.set("WRITES", device.get("WRITES") + 1);
      device.after(1, write);
    };
    return {
      TARGET: {
        write(address) {
          const isIdle = device.get("TARGET") === 0n;
          device.set("TARGET", address);
          if (isIdle) write();
        },
      },
    };
  },
});
