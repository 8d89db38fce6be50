/** The NVMe model, driven in this process: what it does for a driver, and that no driver can harm it. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { identify as identifyByQueues } from "../../docs/drivers/nvme.ts";
import nvme from "../../examples/nvme/nvme.model.ts";
import { registers } from "../../examples/nvme/registers.ts";
import { Status } from "../../examples/nvme/transfer.ts";
import { openModel } from "../../src/exports/model.ts";
import { type DmaMemory, type Interrupt, openRegisters, type PciDevice } from "../../src/index.ts";
import {
  type Command,
  createCompletionQueue,
  createQueues,
  createSubmissionQueue,
  enable,
  Io,
  onBlocks,
  PAGE,
  type QueuePair,
} from "./nvme-driver.ts";

setDefaultTimeout(30_000);

const MIB = 2 ** 20;
const BLOCKS = (64 * MIB) / 512;
const lines: string[] = [];
const open = (options = {}) => openModel(nvme, { options, log: (line) => void lines.push(line) });
const io = (device: PciDevice) => openRegisters(registers, device.bars[0]!);
const ring = (device: PciDevice, index: number, value: number) =>
  device.bars[0]!.write32(0x1000 + 4 * index, value);
const identify = (cns: number, prp1: number, namespace = 0): Command => ({
  ...{ opcode: 0x06, namespace, prp1, dwords: [cns] },
});

beforeEach(() => {
  lines.length = 0;
});

/** Random bytes in the first part of a buffer, and the rest is 0. */
function randomize(memory: DmaMemory, sizeBytes: number): Uint8Array {
  const bytes = memory.bytes().fill(0);
  for (let at = 0; at < sizeBytes; at += 65_536)
    crypto.getRandomValues(bytes.subarray(at, Math.min(sizeBytes, at + 65_536)));
  return bytes.slice();
}

test("it identifies itself, its namespace, and the namespace's name", async () => {
  using device = await open();
  const admin = enable(device);
  using memory = device.allocateDma(4 * PAGE);
  for (const [cns, namespace] of [
    [1, 0],
    [0, 1],
    [2, 0],
    [3, 1],
  ] as const)
    expect(admin.run(identify(cns, memory.iova + cns * PAGE, namespace)).status).toBe(0);
  const view = new DataView(memory.bytes().buffer);
  expect(new TextDecoder().decode(memory.bytes(PAGE + 24, 40)).trim()).toBe("vfiokit NVMe");
  expect([view.getUint32(PAGE + 80, true), view.getUint32(PAGE + 516, true)]).toEqual([0x10400, 1]);
  expect([view.getUint32(0, true), view.getUint8(128 + 2)]).toEqual([BLOCKS, 9]);
  expect([view.getUint32(2 * PAGE, true), view.getUint32(2 * PAGE + 4, true)]).toEqual([1, 0]);
  expect([view.getUint32(3 * PAGE, true) & 0xffff, view.getUint32(3 * PAGE + 20, true)]).toEqual([0x1003, 0]);
});

test("the driver that was written for QEMU's controller gets its identity", async () => {
  using device = await open();
  expect(identifyByQueues(device)).toMatchObject({ vendor: 0x1234, model: "vfiokit NVMe", interrupts: 1 });
});

test("its size is an option, and a reset of either kind keeps its contents and its name", async () => {
  using device = await open({ size: "1" });
  using memory = device.allocateDma(3 * PAGE);
  const run = (id: number, ...commands: Command[]) => {
    const admin = enable(device);
    const queues = createQueues(device, admin, 1, 16);
    expect(admin.run(identify(1, memory.iova + id * PAGE)).status).toBe(0);
    return commands.map((command) => queues.run(command).status);
  };
  const written = randomize(memory, 512);
  expect(run(1, onBlocks(Io.WRITE, 2047, 1, memory.iova), onBlocks(Io.READ, 2048, 1, memory.iova))).toEqual([
    Status.SUCCESS,
    Status.LBA_OUT_OF_RANGE,
  ]);
  for (const reset of [() => io(device).CC.write(0), () => device.reset()]) {
    reset();
    memory.bytes(0, 512).fill(0);
    expect(run(2, onBlocks(Io.READ, 2047, 1, memory.iova))).toEqual([0]);
    expect(memory.bytes(0, 512)).toEqual(written.slice(0, 512));
    expect(memory.bytes(2 * PAGE, PAGE)).toEqual(memory.bytes(PAGE, PAGE));
  }
  await expect(open({ size: "0" })).rejects.toThrow("size must be from 1 to 1024, in MiB");
});

describe("with a pair of queues", () => {
  let device: PciDevice;
  let admin: QueuePair;
  let queues: QueuePair;
  let memory: DmaMemory;
  let list: DmaMemory;
  beforeEach(async () => {
    device = await open();
    admin = enable(device);
    queues = createQueues(device, admin, 1, 16);
    memory = device.allocateDma(2 * MIB);
    list = device.allocateDma(4 * PAGE);
  });
  afterEach(() => device[Symbol.dispose]());

  /** Writes a PRP list of the pages from an address on: `at` its byte offset; it goes on in the next page. */
  const writeList = (at: number, first: number, count: number) => {
    const start = list.iova + at;
    for (let i = 0, slot = at; i < count; slot += 8) {
      const isLast = slot % PAGE === PAGE - 8 && i < count - 1;
      list.write64(slot, BigInt(isLast ? list.iova + slot + 8 : first + PAGE * i++));
    }
    return start;
  };

  test.each([
    ["in one page", 8, 0, 0],
    ["in two pages", 16, 0, 0],
    ["from the middle of a page on", 16, 512, 0],
    ["in as many pages as a command may have", 2048, 0, 0],
    ["in one page more, from the middle of one on", 2048, 1024, 0],
    ["by a list that goes on in another page", 2048, 0, PAGE - 16],
    ["by a list whose first page has only the next one's address", 2048, 0, PAGE - 8],
    ["by a list whose second page has the last two", 24, 0, PAGE - 8],
  ])("data %s arrives and comes back", (_, blocks, offset, at) => {
    const written = randomize(memory, MIB + PAGE);
    const rest = Math.ceil((blocks * 512 - (PAGE - offset)) / PAGE);
    const second = memory.iova + PAGE;
    const prp2 = rest > 1 ? writeList(at, second, rest) : second;
    const transfer = (opcode: number) =>
      queues.run(onBlocks(opcode, 1000, blocks, memory.iova + offset, prp2)).status;
    expect(transfer(Io.WRITE)).toBe(0);
    memory.bytes().fill(0xee);
    expect(transfer(Io.READ)).toBe(0);
    const end = offset + blocks * 512;
    expect(Bun.hash(memory.bytes(offset, blocks * 512))).toBe(Bun.hash(written.subarray(offset, end)));
    expect(memory.bytes(end, 64).every((byte) => byte === 0xee)).toBe(true);
  });

  test("Write Zeroes clears its blocks only, and a flush succeeds", () => {
    const written = randomize(memory, PAGE);
    const statuses = [
      onBlocks(Io.WRITE, 0, 8, memory.iova),
      onBlocks(Io.ZEROES, 2, 2, 0),
      { opcode: Io.FLUSH, namespace: 1 },
      { opcode: Io.FLUSH, namespace: 0xffff_ffff },
      onBlocks(Io.READ, 0, 8, memory.iova),
    ].map((command) => queues.run(command).status);
    expect(statuses).toEqual([0, 0, 0, 0, 0]);
    expect(memory.bytes(0, PAGE)).toEqual(written.slice(0, PAGE).fill(0, 1024, 2048));
  });

  test("the queues wrap as often as they have to", () => {
    const heads = Array.from({ length: 50 }, () => queues.run(onBlocks(Io.READ, 0, 1, memory.iova)));
    expect(heads.map(({ id, status, submissionHead }) => [id, status, submissionHead])).toEqual(
      heads.map((_, i) => [i + 1, 0, (i + 1) % 16]),
    );
  });

  /** Lets the model work until a vector has struck so often: what takes it longer than a turn goes on between accesses. */
  const struck = (vector: Interrupt, count: number) => {
    let got = vector.take();
    for (const deadline = performance.now() + 20_000; got < count && performance.now() < deadline; ) {
      expect(io(device).CSTS.read()).toBe(1);
      got += vector.take();
    }
    return got;
  };

  /** Takes so many completions as they come. */
  const taken = (pair: QueuePair, count: number) => {
    const got = pair.take();
    for (const deadline = performance.now() + 20_000; got.length < count && performance.now() < deadline; ) {
      expect(io(device).CSTS.read()).toBe(1);
      got.push(...pair.take());
    }
    return got;
  };

  test("it waits for room in the completion queue", () => {
    const flush = { opcode: Io.FLUSH, namespace: 1 };
    const vector = device.enableInterrupts("msix", 2)[1]!;
    queues.submit(...Array.from({ length: 10 }, () => flush));
    queues.submit(...Array.from({ length: 5 }, () => flush));
    expect(struck(vector, 15)).toBe(15);
    // Its 15 completions are all that there is room for: more commands stay where they are.
    queues.submit(...Array.from({ length: 10 }, () => flush));
    for (let i = 0; i < 100; i++) expect(io(device).CSTS.read()).toBe(1);
    expect(queues.take().map(({ id }) => id)).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
    expect(struck(vector, 10)).toBe(10);
    expect(queues.take().map(({ id }) => id)).toEqual(Array.from({ length: 10 }, (_, i) => i + 16));
  });

  test("each pair of queues interrupts by its own vector", () => {
    const vectors = device.enableInterrupts("msix", 5);
    const third = createQueues(device, admin, 3, 16);
    third.run({ opcode: Io.FLUSH, namespace: 1 });
    queues.run({ opcode: Io.FLUSH, namespace: 1 });
    queues.run({ opcode: Io.FLUSH, namespace: 1 });
    expect(vectors.map((vector) => vector.take())).toEqual([2, 2, 0, 1, 0]);
  });

  test("INTx is asserted until the completions are taken, and INTMS masks it", () => {
    using intx = device.enableInterrupts("intx", 1)[0]!;
    const { INTMS, INTMC } = io(device);
    queues.submit({ opcode: Io.FLUSH, namespace: 1 });
    expect(intx.take()).toBe(1);
    device.unmaskIntx();
    expect(intx.take()).toBe(1); // still asserted
    queues.take();
    device.unmaskIntx();
    expect(intx.take()).toBe(0);
    INTMS.write(0b10);
    queues.submit({ opcode: Io.FLUSH, namespace: 1 });
    expect([intx.take(), INTMC.read()]).toEqual([0, 0b10]);
    INTMC.write(0b10);
    expect(intx.take()).toBe(1);
  });

  test("a long queue is worked off between the driver's accesses", () => {
    const long = createQueues(device, admin, 2, 256);
    const prp2 = writeList(0, memory.iova + PAGE, 255);
    const interrupt = device.enableInterrupts("msix", 3)[2]!;
    long.submit(...Array.from({ length: 200 }, () => onBlocks(Io.READ, 0, 2048, memory.iova, prp2)));
    const first = interrupt.take();
    expect(first).toBeLessThan(200);
    expect(first + struck(interrupt, 200 - first)).toBe(200);
    expect(long.take().length).toBe(200);
    expect(queues.run({ opcode: Io.FLUSH, namespace: 1 }).status).toBe(0);
  });

  const UNMAPPED = 2 ** 40;
  test.each<[string, () => Command, number]>([
    ["an unknown opcode", () => ({ opcode: 0x7f, namespace: 1 }), Status.INVALID_OPCODE],
    ["a fused command", () => ({ ...onBlocks(Io.READ, 0, 1, 0), flags: 1 }), Status.INVALID_FIELD],
    ["an SGL", () => ({ ...onBlocks(Io.READ, 0, 1, 0), flags: 0x40 }), Status.INVALID_FIELD],
    ["namespace 2", () => ({ ...onBlocks(Io.READ, 0, 1, 0), namespace: 2 }), Status.INVALID_NAMESPACE],
    ["a block past the end", () => onBlocks(Io.READ, BLOCKS - 1, 2, memory.iova), Status.LBA_OUT_OF_RANGE],
    ["block 2^64 - 1", () => onBlocks(Io.READ, 2 ** 64 - 2048, 1, memory.iova), Status.LBA_OUT_OF_RANGE],
    ["65,536 blocks", () => onBlocks(Io.READ, 0, 65_536, memory.iova, list.iova), Status.INVALID_FIELD],
    ["zeros in 65,536 blocks", () => onBlocks(Io.ZEROES, 0, 65_536, 0), Status.INVALID_FIELD],
    ["an odd address", () => onBlocks(Io.READ, 0, 1, memory.iova + 2), Status.PRP_OFFSET_INVALID],
    [
      "a second page that is none",
      () => onBlocks(Io.READ, 0, 16, memory.iova, memory.iova + 512),
      Status.PRP_OFFSET_INVALID,
    ],
    [
      "a list at an odd address",
      () => onBlocks(Io.READ, 0, 24, memory.iova, list.iova + 4),
      Status.PRP_OFFSET_INVALID,
    ],
    [
      "a list of nothing but its own address",
      () => {
        list.write64(PAGE - 8, BigInt(list.iova + PAGE - 8));
        return onBlocks(Io.READ, 0, 24, memory.iova, list.iova + PAGE - 8);
      },
      Status.PRP_OFFSET_INVALID,
    ],
    [
      "a list of addresses that are none",
      () => {
        list.bytes().fill(0x55);
        return onBlocks(Io.WRITE, 0, 24, memory.iova, list.iova);
      },
      Status.PRP_OFFSET_INVALID,
    ],
    ["a write from nowhere", () => onBlocks(Io.WRITE, 0, 1, UNMAPPED), Status.DATA_TRANSFER_ERROR],
    ["a read to nowhere", () => onBlocks(Io.READ, 0, 1, 2 ** 64 - PAGE), Status.DATA_TRANSFER_ERROR],
    ["a list nowhere", () => onBlocks(Io.READ, 0, 24, memory.iova, UNMAPPED), Status.DATA_TRANSFER_ERROR],
    [
      "a list at the end of what is mapped",
      () => onBlocks(Io.READ, 0, 24, memory.iova, list.iova + 4 * PAGE),
      Status.DATA_TRANSFER_ERROR,
    ],
  ])("it refuses %s by the specification's status, and goes on", (_, command, status) => {
    expect(queues.run(command()).status).toBe(status);
    expect(queues.run(onBlocks(Io.READ, 0, 1, memory.iova)).status).toBe(0);
    expect(lines.filter((line) => !line.startsWith("an access by DMA failed"))).toEqual([]);
  });

  test.each<[string, () => Command, number]>([
    ["an unknown opcode", () => ({ opcode: 0xff }), Status.INVALID_OPCODE],
    ["an unknown CNS", () => identify(0x1f, memory.iova), Status.INVALID_FIELD],
    ["the identity of namespace 2", () => identify(0, memory.iova, 2), Status.INVALID_NAMESPACE],
    ["an identity for nowhere", () => identify(1, UNMAPPED), Status.DATA_TRANSFER_ERROR],
    ["an unknown log page", () => ({ opcode: 2, dwords: [0x7f] }), Status.INVALID_LOG_PAGE],
    ["256 KiB of a log page", () => ({ opcode: 2, dwords: [0xffff_0002] }), Status.INVALID_FIELD],
    ["an unknown feature", () => ({ opcode: 0x0a, dwords: [0xc0] }), Status.INVALID_FIELD],
    ["to save a feature", () => ({ opcode: 9, dwords: [0x8000_0006, 0] }), Status.INVALID_FIELD],
    ["queues without end", () => ({ opcode: 9, dwords: [7, 0xffff_ffff] }), Status.INVALID_FIELD],
    [
      "a new number of queues while there are some",
      () => ({ opcode: 9, dwords: [7, 0] }),
      Status.COMMAND_SEQUENCE_ERROR,
    ],
    ["a queue of one entry", () => createCompletionQueue(2, 1, memory.iova), Status.INVALID_QUEUE_SIZE],
    ["one of 65,536", () => createCompletionQueue(2, 65_536, memory.iova), Status.INVALID_QUEUE_SIZE],
    ["one of 1,025", () => createSubmissionQueue(2, 1025, memory.iova, 1), Status.INVALID_QUEUE_SIZE],
    ["queue 0", () => createCompletionQueue(0, 16, memory.iova), Status.INVALID_QUEUE_IDENTIFIER],
    ["queue 5 of 4", () => createCompletionQueue(5, 16, memory.iova), Status.INVALID_QUEUE_IDENTIFIER],
    ["one that there is", () => createCompletionQueue(1, 16, memory.iova), Status.INVALID_QUEUE_IDENTIFIER],
    ["one off a page", () => createCompletionQueue(2, 16, memory.iova + 64), Status.PRP_OFFSET_INVALID],
    ["vector 5 of 5", () => createCompletionQueue(2, 16, memory.iova, 5), Status.INVALID_INTERRUPT_VECTOR],
    [
      "a queue in pieces",
      () => ({ opcode: 5, prp1: memory.iova, dwords: [0xf_0002, 2] }),
      Status.INVALID_FIELD,
    ],
    [
      "one that completes nowhere",
      () => createSubmissionQueue(2, 16, memory.iova, 3),
      Status.COMPLETION_QUEUE_INVALID,
    ],
    [
      "one that completes in the admin queue",
      () => createSubmissionQueue(2, 16, memory.iova, 0),
      Status.COMPLETION_QUEUE_INVALID,
    ],
    [
      "to delete a queue that another one needs",
      () => ({ opcode: 4, dwords: [1] }),
      Status.INVALID_QUEUE_DELETION,
    ],
    ["to delete the admin queue", () => ({ opcode: 0, dwords: [0] }), Status.INVALID_QUEUE_IDENTIFIER],
    ["to delete a queue that is not", () => ({ opcode: 0, dwords: [4] }), Status.INVALID_QUEUE_IDENTIFIER],
  ])("of the admin commands it refuses %s, and goes on", (_, command, status) => {
    expect(admin.run(command()).status).toBe(status);
    expect(admin.run(identify(1, memory.iova)).status).toBe(0);
    expect(queues.run(onBlocks(Io.READ, 0, 1, memory.iova)).status).toBe(0);
    expect(lines.filter((line) => !line.startsWith("an access by DMA failed"))).toEqual([]);
  });

  test("requests for events are held, up to four, and an abort says that it aborts nothing", () => {
    admin.submit(...Array.from({ length: 5 }, () => ({ opcode: 0x0c })));
    expect(taken(admin, 1).map(({ status }) => status)).toEqual([Status.EVENT_LIMIT_EXCEEDED]);
    expect(admin.run({ opcode: 0x08, dwords: [0] })).toMatchObject({ status: 0, result: 1 });
  });

  test("features keep their values until it is disabled, and four pairs of queues are allocated", () => {
    expect(admin.run({ opcode: 9, dwords: [0x0b, 0x1ff] }).status).toBe(0);
    expect(admin.run({ opcode: 10, dwords: [0x0b] }).result).toBe(0x1ff);
    expect(admin.run({ opcode: 10, dwords: [7] }).result).toBe(0x3_0003);
    admin = enable(device);
    expect(admin.run({ opcode: 10, dwords: [0x0b] }).result).toBe(0);
  });

  test("doorbells of no queue, of a deleted one and past the queue's end move nothing", () => {
    for (const index of [2, 3]) for (const value of [16, 0xffff, 0xffff_ffff]) ring(device, index, value);
    ring(device, 3, 5); // nothing is there to take
    for (const index of [8, 9, 300]) ring(device, index, 1);
    expect(queues.take()).toEqual([]);
    queues.submit(...Array.from({ length: 10 }, () => onBlocks(Io.READ, 0, 1, memory.iova)));
    expect(taken(queues, 10).map(({ status }) => status)).toEqual(Array(10).fill(0));
    expect(admin.run({ opcode: 0, dwords: [1] }).status).toBe(0);
    queues.submit(onBlocks(Io.READ, 0, 1, memory.iova));
    expect(queues.take()).toEqual([]);
    expect(admin.run({ opcode: 4, dwords: [1] }).status).toBe(0);
    expect([io(device).CSTS.read(), lines]).toEqual([1, []]);
  });

  test.each([
    ["completion", () => UNMAPPED, () => memory.iova],
    ["submission", () => memory.iova, () => UNMAPPED],
  ])(
    "a %s queue that is not mapped fails the controller until it is disabled",
    (_, completion, submission) => {
      const made = [
        createCompletionQueue(2, 16, completion()),
        createSubmissionQueue(2, 16, submission(), 2),
      ];
      expect(made.map((command) => admin.run(command).status)).toEqual([0, 0]);
      ring(device, 4, 3);
      expect(io(device).CSTS.readFields()).toEqual({ RDY: 0, CFS: 1, SHST: 0 });
      ring(device, 4, 4);
      admin.submit(identify(1, memory.iova));
      expect(admin.take()).toEqual([]);
      expect(enable(device).run(identify(1, memory.iova)).status).toBe(0);
    },
  );

  test.each([
    ["admin queues of one entry", 0, 0],
    ["pages of 8 KiB", 0x7_0007, 1 << 7],
    ["another command set", 0x7_0007, 1 << 4],
  ])("it does not start with %s", (_, aqa, cc) => {
    const { CC, CSTS, AQA } = io(device);
    CC.write(0);
    AQA.write(aqa);
    CC.write(cc | 1);
    expect(CSTS.readFields()).toEqual({ RDY: 0, CFS: 1, SHST: 0 });
  });

  test("it completes a shutdown at once", () => {
    const { CC, CSTS } = io(device);
    CC.writeFields({ EN: 1, SHN: 1 });
    expect(CSTS.readFields()).toEqual({ RDY: 1, CFS: 0, SHST: 2 });
    CC.write(0);
    expect(CSTS.read()).toBe(0);
  });
});
