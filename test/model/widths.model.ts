/** A device whose registers have all widths, modes and spaces. */
import { defineModel } from "../../src/model/define-model.ts";
import type { RegisterTable } from "../../src/registers/table.ts";

export const registers = {
  KIND: { offset: 0, width: 8, mode: "ro", reset: 0x7f, about: "kind" },
  LENGTH: { offset: 2, width: 16, mode: "rw", order: "big", about: "length" },
  LANE: { offset: 4, width: 8, mode: "rw", count: 4, about: "four in a word" },
  ADDRESS: { offset: 8, width: 64, mode: "rw", about: "address" },
  DOUBLED: { offset: 0x10, width: 64, mode: "rw", about: "reads as twice what was written" },
  PLAIN: { offset: 0x18, mode: "rw", about: "plain" },
  RAISE: { offset: 0x1c, mode: "wo", about: "sets EVENTS and FLAGS" },
  EVENTS: { offset: 0x20, mode: "rc", about: "events" },
  FLAGS: { offset: 0x24, mode: "w1c", about: "flags" },
  GATES: { offset: 0x28, mode: "w1s", about: "gates" },
  BELL: { offset: 0x40, mode: "wo", count: 3, stride: 8, about: "bells" },
  HEAD: { offset: 0x44, mode: "ro", count: 3, stride: 8, about: "what was written to each bell" },
} as const satisfies RegisterTable;

export const commands = {
  PORT: { offset: 0, width: 8, mode: "rw", about: "port" },
  DATA: { offset: 4, mode: "rw", about: "data" },
} as const satisfies RegisterTable;

export const far = {
  FAR: { offset: 0, mode: "rw", about: "behind a 64-bit address" },
} as const satisfies RegisterTable;

export default defineModel({
  title: "all widths",
  id: { vendor: 0x1234, device: 0xb175 },
  bars: [
    { registers },
    undefined,
    { registers: commands, io: true },
    { registers: far, addressBits: 64, prefetchable: true },
  ],
  interrupts: { intx: false },
  capabilities: {
    express: "endpoint",
    serialNumber: 0x1122_3344_5566_7788n,
    vendorSpecific: [Uint8Array.of(0xaa, 0xbb)],
  },
  create: (device) => ({
    DOUBLED: {
      write: (value) => device.set("DOUBLED", value & 0x7fff_ffff_ffff_ffffn),
      read: () => device.get("DOUBLED") * 2n,
    },
    RAISE: {
      write: (value) => {
        device.set("EVENTS", value);
        device.set("FLAGS", value);
      },
    },
    BELL: { write: (value, index) => device.set("HEAD", value, index) },
  }),
});
