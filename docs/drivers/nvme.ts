/**
 * Brings an NVMe controller up as far as Identify Controller, through its admin queues: NVM Express Base Specification 2.0,
 * sections 3.1.3 (registers), 3.3 (queues), 3.5.1 (initialization) and 5.17 (Identify). Its MSI-X table lies inside
 * BAR0, between the registers: the kernel keeps that part.
 */
import { type DmaMemory, openDevice, type PciDevice } from "vfiokit";

/** Byte offsets in BAR0. */
const Register = {
  CAP: 0x00,
  VS: 0x08,
  CC: 0x14,
  CSTS: 0x1c,
  AQA: 0x24,
  ASQ: 0x28,
  ACQ: 0x30,
  DOORBELLS: 0x1000,
} as const;
/** CC: enabled; completion entries of 2^4 bytes, submission entries of 2^6. */
const CC_ENABLE = 1 | (4 << 20) | (6 << 16);
const CSTS_READY = 1;
const CSTS_FATAL = 2;

const PAGE = 4096;
const ENTRIES = 16;
const OPCODE_IDENTIFY = 0x06;
const IDENTIFY_CONTROLLER = 1;
const ANSWER_MS = 5000;

export interface Identity {
  readonly vendor: number;
  readonly serial: string;
  readonly model: string;
  readonly firmware: string;
  /** Interrupts that came until the answer was there. */
  readonly interrupts: number;
}

/** Identify Controller on a device that openDevice opened; it stays the caller's. Throws when the controller is slow or fails. */
export function identify(device: PciDevice): Identity {
  const bar = device.bars[0]!;
  const cap = bar.read64(Register.CAP);
  /** CAP.TO: how long a change of readiness may take, in units of 500 ms. */
  const readyTimeoutMs = Number((cap >> 24n) & 0xffn) * 500;
  /** CAP.DSTRD */
  const doorbellStride = 4 << Number((cap >> 32n) & 0xfn);

  const waitReady = (ready: boolean) => {
    const deadline = performance.now() + readyTimeoutMs;
    for (;;) {
      const status = bar.read32(Register.CSTS);
      if (status & CSTS_FATAL) throw new Error(`${device.spec}: the controller reports a fatal error`);
      if (((status & CSTS_READY) !== 0) === ready) return;
      if (performance.now() > deadline)
        throw new Error(`${device.spec}: not ${ready ? "ready" : "idle"} after ${readyTimeoutMs} ms`);
    }
  };

  bar.write32(Register.CC, 0);
  waitReady(false);

  // One page each: submission queue, completion queue, answer.
  using memory: DmaMemory = device.allocateDma(3 * PAGE);
  const [submission, completion, answer] = [0, PAGE, 2 * PAGE];
  bar.write32(Register.AQA, ((ENTRIES - 1) << 16) | (ENTRIES - 1));
  bar.write64(Register.ASQ, BigInt(memory.iova + submission!));
  bar.write64(Register.ACQ, BigInt(memory.iova + completion!));
  // Not every way to a device has MSI-X; without it the memory tells when the answer is there.
  const [interrupt] = device.interruptCount("msix") > 0 ? device.enableInterrupts("msix", 1) : [];
  try {
    bar.write32(Register.CC, CC_ENABLE);
    waitReady(true);

    // Figure 87, common command format: opcode and command id, PRP 1, command dword 10.
    memory.write32(submission!, OPCODE_IDENTIFY | (1 << 16));
    memory.write64(submission! + 24, BigInt(memory.iova + answer!));
    memory.write32(submission! + 40, IDENTIFY_CONTROLLER);
    device.fence();
    bar.write32(Register.DOORBELLS, 1);

    /** Completion dword 3: command id, phase, status. */
    const statusNow = () => memory.read32(completion! + 12);
    const isComplete = () => (statusNow() & (1 << 16)) !== 0;
    const interrupts = interrupt?.wait(ANSWER_MS) ?? 0;
    const deadline = performance.now() + ANSWER_MS;
    while (!interrupt && !isComplete() && performance.now() < deadline);
    if (!isComplete()) throw new Error(`${device.spec}: no completion after ${interrupts} interrupts`);
    const status = statusNow();
    if (status >>> 17)
      throw new Error(`${device.spec}: Identify failed with status 0x${(status >>> 17).toString(16)}`);
    bar.write32(Register.DOORBELLS + doorbellStride, 1);

    const data = memory.bytes(answer, PAGE);
    const text = (offset: number, sizeBytes: number) =>
      new TextDecoder("latin1").decode(data.slice(offset, offset + sizeBytes)).trim();
    return {
      vendor: data[0]! | (data[1]! << 8),
      serial: text(4, 20),
      model: text(24, 40),
      firmware: text(64, 8),
      interrupts,
    };
  } finally {
    // It lets go of the queues before their memory goes.
    bar.write32(Register.CC, 0);
    waitReady(false);
    if (interrupt) device.disableInterrupts("msix");
    interrupt?.[Symbol.dispose]();
  }
}

if (import.meta.main) {
  using device = openDevice(process.argv[2] ?? "0000:00:02.0");
  const { model, serial, interrupts } = identify(device);
  console.log(`${model}, serial ${serial}, ${interrupts} interrupt${interrupts === 1 ? "" : "s"}`);
}
