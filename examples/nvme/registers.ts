/** An NVMe controller's registers: NVM Express Base Specification 1.4, section 3.1. */
import type { RegisterTable } from "vfiokit/registers";

/** I/O queues of each kind, numbered from 1; queue 0 is the admin queue. */
export const IO_QUEUES = 4;
export const QUEUE_ENTRIES = 1024;

const PAIRS = { count: IO_QUEUES + 1, stride: 8 };

export const registers = {
  // Contiguous queues (CQR), ready within 500 ms (TO), and the NVM commands (CSS); doorbells and pages have the least sizes.
  CAP: {
    ...{ offset: 0x00, width: 64, mode: "ro", about: "Capabilities, 3.1.1" },
    reset: 0x20_0101_0000n | BigInt(QUEUE_ENTRIES - 1),
  },
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
  ASQ: { offset: 0x28, width: 64, mode: "rw", about: "Address of the admin submission queue, 3.1.9" },
  ACQ: { offset: 0x30, width: 64, mode: "rw", about: "Address of the admin completion queue, 3.1.10" },
  SQTDBL: { ...{ offset: 0x1000, mode: "wo", about: "Submission queue's tail, 3.1.24" }, ...PAIRS },
  CQHDBL: { ...{ offset: 0x1004, mode: "wo", about: "Completion queue's head, 3.1.25" }, ...PAIRS },
} as const satisfies RegisterTable;
