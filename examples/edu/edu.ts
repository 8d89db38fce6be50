/**
 * A driver for QEMU's educational device, 1234:11e8: docs/specs/edu.rst in QEMU. What it shows is all that a small driver
 * needs: a register table, DMA both ways, interrupts.
 */
import { type DmaMemory, openDevice, openRegisters, type PciDevice, type RegisterTable } from "vfiokit";

export const registers = {
  IDENTITY: { offset: 0x00, mode: "ro", about: "0xRRrr00ed: version and magic" },
  LIVENESS: { offset: 0x04, mode: "rw", about: "Reads as the inverse of what was written" },
  FACTORIAL: { offset: 0x08, mode: "rw", about: "Write n, wait for STATUS.BUSY to go, read n! modulo 2^32" },
  STATUS: {
    offset: 0x20,
    mode: "rw",
    about: "What the factorial unit does",
    fields: {
      BUSY: { bits: [0, 0], about: "It computes" },
      INTERRUPT: { bits: [7, 7], about: "Interrupt when it is done" },
    },
  },
  INTERRUPT_STATUS: { offset: 0x24, mode: "ro", about: "What was raised and not acknowledged" },
  INTERRUPT_RAISE: { offset: 0x60, mode: "wo", about: "Raises an interrupt with these bits" },
  INTERRUPT_ACKNOWLEDGE: { offset: 0x64, mode: "wo", about: "Clears these bits" },
  DMA_SOURCE: { offset: 0x80, mode: "rw", about: "Address to read from" },
  DMA_DESTINATION: { offset: 0x88, mode: "rw", about: "Address to write to" },
  DMA_COUNT: { offset: 0x90, mode: "rw", about: "Bytes to copy" },
  DMA_COMMAND: {
    offset: 0x98,
    mode: "rw",
    about: "Starts a copy",
    fields: {
      START: { bits: [0, 0], about: "Set to start, clear when done" },
      TO_MEMORY: { bits: [1, 1], about: "From the device's buffer to memory, not the other way" },
      INTERRUPT: { bits: [2, 2], about: "Interrupt 0x100 when done" },
    },
  },
} as const satisfies RegisterTable;

/** The device's own memory, seen by its DMA unit only. */
const BUFFER = { address: 0x40000, sizeBytes: 4096 } as const;
/** It drives this many address bits. */
export const ADDRESS_BITS = 28;
export const DMA_DONE = 0x100;
const TIMEOUT_MS = 5000;

export type Edu = ReturnType<typeof openEdu>;

/** Takes over a device that openDevice opened; it stays the caller's. Throws where it is no edu. */
export function openEdu(device: PciDevice) {
  const io = openRegisters(registers, device.bars[0]!);
  const identity = io.IDENTITY.read();
  if ((identity & 0xffff) !== 0x00ed)
    throw new Error(`${device.spec} says 0x${identity.toString(16)} where an edu says 0x010000ed`);

  const until = (what: string, done: () => boolean) => {
    const deadline = performance.now() + TIMEOUT_MS;
    while (!done())
      if (performance.now() > deadline) throw new Error(`${device.spec}: ${what} took too long`);
  };
  const copy = (
    source: number,
    destination: number,
    sizeBytes: number,
    toMemory: 0 | 1,
    interrupt: 0 | 1,
  ) => {
    io.DMA_SOURCE.write(source);
    io.DMA_DESTINATION.write(destination);
    io.DMA_COUNT.write(sizeBytes);
    io.DMA_COMMAND.writeFields({ START: 1, TO_MEMORY: toMemory, INTERRUPT: interrupt });
    until("a copy", () => !io.DMA_COMMAND.readFields().START);
  };
  return {
    io,
    identity,
    factorial(n: number): number {
      io.FACTORIAL.write(n);
      until("a factorial", () => !io.STATUS.readFields().BUSY);
      return io.FACTORIAL.read();
    },
    /** Memory that its 28 address bits reach. */
    allocate: (sizeBytes: number): DmaMemory => device.allocateDma(sizeBytes, { addressBits: ADDRESS_BITS }),
    /** Copies from memory into the device's buffer; at most 4096 bytes. */
    store(from: DmaMemory, sizeBytes: number, interrupt: 0 | 1 = 0): void {
      copy(from.iova, BUFFER.address, sizeBytes, 0, interrupt);
    },
    /** Copies from the device's buffer to memory. */
    load(to: DmaMemory, sizeBytes: number, interrupt: 0 | 1 = 0): void {
      copy(BUFFER.address, to.iova, sizeBytes, 1, interrupt);
    },
  };
}

if (import.meta.main) {
  using device = openDevice(process.argv[2] ?? "0000:00:01.0");
  const edu = openEdu(device);
  console.log(
    `${device.spec}: edu 0x${edu.identity.toString(16)} by ${device.reachedBy}; 10! = ${edu.factorial(10)}`,
  );
}
