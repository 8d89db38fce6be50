/** Registers of line in uart from uart.xml (IP-XACT 2009), by vfiokit registers. */
import type { RegisterTable } from "vfiokit/registers";

export const registers = {
  DATA: { offset: 0x0, mode: "ro", about: 'The next byte of the "line" (1 µs each)', width: 8 },
  TRANSMIT: { offset: 0x0, mode: "wo", about: "TRANSMIT", width: 8 },
  DIVIDER: {
    offset: 0x2,
    mode: "rw",
    about: "DIVIDER",
    width: 16,
    reset: 0x145,
    fields: { CLOCKS: { bits: [0, 11], about: "clocks" } },
  },
  TOGGLE: {
    offset: 0x4,
    mode: "rw",
    about: "TOGGLE",
    width: 8,
    fields: { LED: { bits: [0, 0], about: "led" }, LED_2: { bits: [1, 1], about: "led" } },
  },
  _4TH_WORD: { offset: 0x8, mode: "rw", about: "4th-word", width: 16, count: 6, reset: 0x7 },
} as const satisfies RegisterTable;
