/** The counter's registers: the model, the driver, `vfiokit regs` and documents use this table. */
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
  LIMIT: { offset: 0x0c, mode: "rw", reset: 10, range: [1, 1_000_000], about: "It stops there" },
  STATUS: {
    offset: 0x10,
    mode: "w1c",
    about: "What has happened",
    fields: { DONE: { bits: [0, 0], about: "It has reached the limit" } },
  },
  TARGET: { offset: 0x18, width: 64, mode: "rw", about: "The address that it writes its count to" },
} as const satisfies RegisterTable;
