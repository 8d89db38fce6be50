/** A device that counts at a rate, stops at a limit, and says so in memory and by an interrupt. */
import { defineModel } from "vfiokit/model";
import { registers } from "./registers.ts";

export default defineModel({
  title: "counter",
  id: { vendor: 0x1234, device: 0xc0de },
  bars: [{ registers }],
  options: ["period"],
  create(device) {
    const periodMs = Number(device.options.get("period") ?? 1);
    let count = 0;
    let stop = () => {};
    const tick = () => {
      count++;
      if (count < device.get("LIMIT")) {
        stop = device.after(periodMs, tick);
        return;
      }
      device.writeMemory(Number(device.get("TARGET")), new Uint8Array(new Uint32Array([count]).buffer));
      device.set("STATUS", 1);
      device.raise();
    };
    return {
      COUNT: { read: () => count },
      CONTROL: {
        write(value) {
          device.set("CONTROL", value);
          stop();
          count = 0;
          if (value & 1) stop = device.after(periodMs, tick);
        },
      },
      STATUS: {
        write(ones) {
          device.set("STATUS", device.get("STATUS") & ~ones);
          device.lower();
        },
      },
    };
  },
});
