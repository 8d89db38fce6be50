/** An NVMe controller's registers: NVM Express Base Specification 1.4, section 3.1. A register of 64 bits is two words. */
import type { RegisterTable } from "vfiokit/registers";

/** I/O queues of each kind, numbered from 1; queue 0 is the admin queue. */
export const IO_QUEUES = 4;
export const QUEUE_ENTRIES = 1024;

export const registers = {
  // Contiguous queues (CQR), ready within 500 ms (TO), and the NVM commands (CSS); doorbells and pages have the least sizes.
  CAP_LOW: {
    offset: 0x00,
    mode: "ro",
    reset: 0x0101_0000 | (QUEUE_ENTRIES - 1),
    about: "Capabilities, 3.1.1",
  },
  CAP_HIGH: { offset: 0x04, mode: "ro", reset: 0x0000_0020, about: "Their upper half" },
  VS: { offset: 0x08, mode: "ro", reset: 0x0001_0400, about: "Version, 3.1.2" },
  INTMS: { offset: 0x0c, mode: "rw", about: "Masks vectors, unless they are MSI-X, 3.1.3" },
  INTMC: { offset: 0x10, mode: "rw", about: "Unmasks vectors, 3.1.4" },
  CC: {
    ...{ offset: 0x14, mode: "rw", about: "Configuration, 3.1.5" },
    fields: {
      EN: { bits: [0, 0], about: "Enables it" },
      CSS: { bits: [4, 6], about: "The command set; 0 is NVM" },
      MPS: { bits: [7, 10], about: "Pages have 2^(12 + MPS) bytes" },
      SHN: { bits: [14, 15], about: "Announces a shutdown" },
    },
  },
  CSTS: {
    ...{ offset: 0x1c, mode: "ro", about: "Status, 3.1.6" },
    fields: {
      RDY: { bits: [0, 0], about: "It takes commands" },
      CFS: { bits: [1, 1], about: "It has failed, until it is reset" },
      SHST: { bits: [2, 3], about: "2 if the shutdown is complete" },
    },
  },
  AQA: {
    ...{ offset: 0x24, mode: "rw", about: "Entries of the admin queues, less 1, 3.1.8" },
    fields: { ASQS: { bits: [0, 11], about: "Submission" }, ACQS: { bits: [16, 27], about: "Completion" } },
  },
  ASQ_LOW: { offset: 0x28, mode: "rw", about: "Address of the admin submission queue, 3.1.9" },
  ASQ_HIGH: { offset: 0x2c, mode: "rw", about: "Its upper half" },
  ACQ_LOW: { offset: 0x30, mode: "rw", about: "Address of the admin completion queue, 3.1.10" },
  ACQ_HIGH: { offset: 0x34, mode: "rw", about: "Its upper half" },
} as const satisfies RegisterTable;

/** Tail and head of each pair of queues, 3.1.24 and 3.1.25: SQ0, CQ0, SQ1, CQ1... */
export const doorbells: Record<string, RegisterTable[string]> = {};
for (let at = 0; at < 2 * (IO_QUEUES + 1); at++)
  doorbells[`${at % 2 ? "CQ" : "SQ"}${at >> 1}`] = { offset: 0x1000 + 4 * at, mode: "wo", about: "Doorbell" };
