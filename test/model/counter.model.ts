/** A counter: it counts at a rate, stops at a limit, and says so by an interrupt and in memory. */
import { defineModel } from "vfiokit/model";
import type { RegisterTable } from "vfiokit/registers";

export const registers = {
  IDENTITY: { offset: 0x00, mode: "ro", reset: 0xc0de_0001, about: "Which device this is" },
  CONTROL: {
    offset: 0x04,
    mode: "rw",
    about: "Starts and stops it",
    fields: { RUN: { bits: [0, 0], about: "It counts" } },
  },
  COUNT: { offset: 0x08, mode: "ro", about: "How often it has counted" },
  LIMIT: { offset: 0x0c, mode: "rw", reset: 10, about: "It stops there" },
  STATUS: { offset: 0x10, mode: "w1c", about: "Bit 0: it has reached the limit" },
  TARGET: { offset: 0x14, mode: "rw", about: "The address that it writes its count to, where that is not 0" },
  FAIL: { offset: 0x18, mode: "wo", about: "Makes its handler throw" },
} as const satisfies RegisterTable;

export default defineModel({
  title: "counter",
  id: { vendor: 0x1234, device: 0xc0de },
  bars: [{ registers }, undefined, { memoryBytes: 65_536 }],
  options: ["period"],
  create(device) {
    const periodMs = Number(device.options.get("period") ?? 1);
    let count = 0;
    let stop = () => {};
    const tick = () => {
      count++;
      if (count < device.get("LIMIT")) stop = device.after(periodMs, tick);
      else {
        device.set("STATUS", 1);
        const target = device.get("TARGET");
        if (target !== 0) device.writeMemory(target, new Uint8Array(new Uint32Array([count]).buffer));
        device.memory(2)[0] = count;
        device.raise();
      }
    };
    return {
      COUNT: { read: () => count },
      CONTROL: {
        write(value) {
          device.set("CONTROL", value);
          stop();
          if (value & 1) stop = device.after(periodMs, tick);
        },
      },
      STATUS: {
        write(value) {
          device.set("STATUS", device.get("STATUS") & ~value);
          device.lower();
        },
      },
      FAIL: {
        write() {
          throw new Error("told to");
        },
      },
    };
  },
});
