/**
 * QEMU's educational device as a model of ours: docs/specs/edu.rst in QEMU. The driver, examples/edu/edu.ts, and its register
 * table serve both.
 */
import { defineModel } from "vfiokit/model";
import { DMA_DONE, registers } from "./edu.ts";

const BAR_BYTES = 2 ** 20;
/** The memory that only its DMA unit sees. */
const BUFFER = { address: 0x40000, sizeBytes: 4096 } as const;
const ADDRESSES = 2 ** 28;
const FACTORIAL_DONE = 1;
const { STATUS, DMA_COMMAND } = registers;
const BUSY = 1 << STATUS.fields.BUSY.bits[0];
const INTERRUPT = 1 << STATUS.fields.INTERRUPT.bits[0];
const START = 1 << DMA_COMMAND.fields.START.bits[0];
const TO_MEMORY = 1 << DMA_COMMAND.fields.TO_MEMORY.bits[0];
const INTERRUPT_WHEN_DONE = 1 << DMA_COMMAND.fields.INTERRUPT.bits[0];

export default defineModel({
  title: "edu",
  id: { vendor: 0x1234, device: 0x11e8, subsystemVendor: 0x1af4, subsystem: 0x1100, classCode: 0x00ff00 },
  bars: [{ registers, sizeBytes: BAR_BYTES }],
  create(device) {
    const buffer = new Uint8Array(BUFFER.sizeBytes);
    device.set("IDENTITY", 0x010000ed);
    const raise = (bits: number) => {
      device.set("INTERRUPT_STATUS", (device.get("INTERRUPT_STATUS") | bits) >>> 0);
      if (device.get("INTERRUPT_STATUS") !== 0) device.raise();
    };
    /** A register that keeps its value while the DMA unit is running. */
    const unlessRunning = (register: "DMA_SOURCE" | "DMA_DESTINATION" | "DMA_COUNT") => ({
      write(value: number) {
        if (!(device.get("DMA_COMMAND") & START)) device.set(register, value);
      },
    });
    const copy = () => {
      const command = device.get("DMA_COMMAND");
      const [source, destination] = [device.get("DMA_SOURCE"), device.get("DMA_DESTINATION")];
      const sizeBytes = device.get("DMA_COUNT");
      const at = (command & TO_MEMORY ? source : destination) - BUFFER.address;
      const address = (command & TO_MEMORY ? destination : source) % ADDRESSES;
      if (at < 0 || at + sizeBytes > BUFFER.sizeBytes) device.log(`edu: DMA outside its buffer, at ${at}`);
      else if (command & TO_MEMORY) device.writeMemory(address, buffer.slice(at, at + sizeBytes));
      else buffer.set(device.readMemory(address, sizeBytes) ?? [], at);
      device.set("DMA_COMMAND", (command & ~START) >>> 0);
      if (command & INTERRUPT_WHEN_DONE) raise(DMA_DONE);
    };
    return {
      LIVENESS: { write: (value) => device.set("LIVENESS", ~value >>> 0) },
      FACTORIAL: {
        write(n) {
          if (device.get("STATUS") & BUSY) return;
          device.set("STATUS", device.get("STATUS") | BUSY);
          device.after(1, () => {
            let product = 1;
            for (let factor = n; factor > 1 && product !== 0; factor--) product = Math.imul(product, factor);
            device.set("FACTORIAL", product >>> 0);
            device.set("STATUS", device.get("STATUS") & ~BUSY);
            if (device.get("STATUS") & INTERRUPT) raise(FACTORIAL_DONE);
          });
        },
      },
      STATUS: {
        write: (value) => device.set("STATUS", (device.get("STATUS") & BUSY) | (value & INTERRUPT)),
      },
      INTERRUPT_RAISE: { write: raise },
      INTERRUPT_ACKNOWLEDGE: {
        write(bits) {
          device.set("INTERRUPT_STATUS", (device.get("INTERRUPT_STATUS") & ~bits) >>> 0);
          if (device.get("INTERRUPT_STATUS") === 0) device.lower();
        },
      },
      DMA_SOURCE: unlessRunning("DMA_SOURCE"),
      DMA_DESTINATION: unlessRunning("DMA_DESTINATION"),
      DMA_COUNT: unlessRunning("DMA_COUNT"),
      DMA_COMMAND: {
        write(command) {
          if (!(command & START) || device.get("DMA_COMMAND") & START) return;
          device.set("DMA_COMMAND", command);
          device.after(1, copy);
        },
      },
    };
  },
});
