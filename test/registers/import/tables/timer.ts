/** Registers of csr in quad_timer from timer.xml (IP-XACT 2014), by vfiokit registers. */
import type { RegisterTable } from "vfiokit/registers";

export const registers = {
  VERSION: {
    offset: 0x0,
    mode: "ro",
    about: "The core's version: major, minor, and a magic number.",
    reset: 0x2007e57,
    fields: { MAGIC: { bits: [0, 15], about: "magic" }, MAJOR: { bits: [24, 31], about: "major" } },
  },
  GLOBAL_CONTROL: {
    offset: 0x4,
    mode: "rw",
    about: "globalControl",
    reset: 0x10,
    fields: {
      ENABLE: { bits: [0, 0], about: "Runs all channels" },
      CLOCK: { bits: [4, 5], about: "clock", values: { BUS: 0, CRYSTAL: 1 } },
      LOCKED: { bits: [8, 8], about: "The clock is stable (ro)" },
    },
  },
  PRESCALER: {
    offset: 0x20,
    mode: "rw",
    about: "prescaler",
    width: 16,
    reset: 0x2,
    range: [2, 1000],
    fields: { VALUE: { bits: [0, 15], about: "value" } },
  },
  IRQ_STATUS: {
    offset: 0x8,
    mode: "w1c",
    about: "irq_status",
    fields: { EXPIRED: { bits: [0, 3], about: "expired" } },
  },
  IRQ_RAISE: {
    offset: 0xc,
    mode: "rw",
    about: "irq_raise",
    fields: { EXPIRED: { bits: [0, 3], about: "expired (w1s)" }, COUNT: { bits: [8, 15], about: "count" } },
  },
  LOST_TICKS: {
    offset: 0x10,
    mode: "rc",
    about: "lost_ticks",
    width: 16,
    fields: { TICKS: { bits: [0, 15], about: "ticks" } },
  },
  UPTIME: {
    offset: 0x18,
    mode: "ro",
    about: "uptime",
    width: 64,
    reset: 0xffffffff00000001n,
    fields: { TICKS: { bits: [0, 63], about: "ticks" } },
  },
  SCRATCH: { offset: 0x40, mode: "rw", about: "scratch", count: 8 },
  TRIM: { offset: 0x64, mode: "rw", about: "trim" },
  KEY: { offset: 0x70, mode: "wo", about: "key", count: 4 },
  CHANNEL_LIMIT: {
    offset: 0x100,
    mode: "rw",
    about: "Ticks until the channel expires",
    count: 4,
    stride: 0x20,
  },
  CHANNEL0_COMPARE: { offset: 0x108, mode: "rw", about: "compare", count: 2 },
  CHANNEL1_COMPARE: { offset: 0x128, mode: "rw", about: "compare", count: 2 },
  CHANNEL2_COMPARE: { offset: 0x148, mode: "rw", about: "compare", count: 2 },
  CHANNEL3_COMPARE: { offset: 0x168, mode: "rw", about: "compare", count: 2 },
} as const satisfies RegisterTable;
