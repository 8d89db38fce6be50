/** Registers of DMA0 in CHIP1 from chip.svd (CMSIS-SVD), by vfiokit registers. */
import type { RegisterTable } from "vfiokit/registers";

export const registers = {
  CTRL: {
    offset: 0x0,
    mode: "rw",
    about: "Control",
    reset: 0x10,
    fields: {
      EN: { bits: [0, 0], about: "Enable" },
      BURST: { bits: [4, 5], about: "BURST", values: { SINGLE: 0, _4_BEATS: 1 } },
      PRIORITY0: { bits: [8, 9], about: "PRIORITY" },
      PRIORITY1: { bits: [10, 11], about: "PRIORITY" },
      PRIORITY2: { bits: [12, 13], about: "PRIORITY" },
    },
  },
  CTRL_ALIAS: {
    offset: 0x4,
    mode: "rw",
    about: "Control",
    reset: 0x10,
    fields: {
      EN: { bits: [0, 0], about: "Enable" },
      BURST: { bits: [4, 5], about: "BURST", values: { SINGLE: 0, _4_BEATS: 1 } },
      PRIORITY0: { bits: [8, 9], about: "PRIORITY" },
      PRIORITY1: { bits: [10, 11], about: "PRIORITY" },
      PRIORITY2: { bits: [12, 13], about: "PRIORITY" },
    },
  },
  FLAGS: {
    offset: 0x8,
    mode: "w1c",
    about: "FLAGS",
    fields: {
      DONE: { bits: [0, 7], about: "DONE" },
      BUSY: { bits: [8, 8], about: "BUSY (ro)" },
      LEVEL: { bits: [12, 15], about: "LEVEL (1 to 9)" },
    },
  },
  FIFO: { offset: 0x20, mode: "ro", about: "Words of channel n", count: 4, stride: 0x8 },
  PINA_CFG: {
    offset: 0x40,
    mode: "rw",
    about: "Configures pin A",
    width: 16,
    fields: { LENGTH: { bits: [0, 1], about: "LENGTH", values: { SINGLE: 0, _4_BEATS: 1 } } },
  },
  PINB_CFG: {
    offset: 0x44,
    mode: "rw",
    about: "Configures pin B",
    width: 16,
    fields: { LENGTH: { bits: [0, 1], about: "LENGTH", values: { SINGLE: 0, _4_BEATS: 1 } } },
  },
  PIND_CFG: {
    offset: 0x48,
    mode: "rw",
    about: "Configures pin D",
    width: 16,
    fields: { LENGTH: { bits: [0, 1], about: "LENGTH", values: { SINGLE: 0, _4_BEATS: 1 } } },
  },
  CH_SOURCE: {
    offset: 0x80,
    mode: "rw",
    about: "SOURCE",
    width: 64,
    count: 2,
    stride: 0x10,
    range: [0x1000n, 0xffffffffn],
  },
  CH_LIMITS_LOW: { offset: 0x88, mode: "rw", about: "LOW", count: 2, stride: 0x10 },
} as const satisfies RegisterTable;
