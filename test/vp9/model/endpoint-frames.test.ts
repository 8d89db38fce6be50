/** Frames through the rings: what comes of good ones, and each way in which one can be refused or lost. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import type { PciDevice } from "../../../src/device/device.ts";
import { openDevice } from "../../../src/index.ts";
import { Opcode, SubmitFlag } from "../../../src/vp9/contract/rings.ts";
import { type Entry, HOST, noise, nullPacket, PICTURE, Place, Rig, States, WINDOW } from "./stream-rig.ts";

let device: PciDevice;
beforeAll(() => {
  device = openDevice("model:vp9?codec=null");
});
afterAll(() => device[Symbol.dispose]());

const { FRAME_BYTES } = PICTURE;
const PACKET_BYTES = 16;
const WINDOW_BYTES = 8 * 2 ** 20;
const UNSUPPORTED_REQUEST = 1 << 20;
const aerStatus = () => device.config.read32(0x104);
beforeEach(() => device.config.write32(0x104, 0xffff_ffff));

const paths = [
  ["host memory", HOST],
  ["the window", WINDOW],
] as const;

for (const [where, space] of paths) {
  test(`a frame in ${where} gives its packet there, and nothing beside it is touched`, async () => {
    using rig = new Rig(device, { space });
    const frame = noise(FRAME_BYTES, 1);
    rig.put(Place.FRAME, frame);
    rig.clear(Place.OUTPUT - 64, 256, 0xee);
    await rig.run();
    const completed = await rig.outcome({ tag: 0xcafe_f00d, pts: 2 ** 40, outputBytes: PACKET_BYTES });
    expect(completed).toMatchObject({ tag: 0xcafe_f00d, status: "OK", flags: 1, pts: 2 ** 40, sequence: 1 });
    expect(completed.packetBytes).toBe(PACKET_BYTES);
    expect(rig.get(Place.OUTPUT, PACKET_BYTES)).toEqual(nullPacket(frame, 0));
    expect(rig.get(Place.OUTPUT - 64, 64).every((byte) => byte === 0xee)).toBe(true);
    expect(rig.get(Place.OUTPUT + PACKET_BYTES, 128).every((byte) => byte === 0xee)).toBe(true);
    expect(rig.get(Place.FRAME, FRAME_BYTES)).toEqual(frame);
  });

  test(`a full ring in ${where} is worked off in order, over and over`, async () => {
    using rig = new Rig(device, { space, ringLog2: 2 });
    await rig.run({ GOP: 5 });
    const frames = Array.from({ length: 4 }, (_, i) => noise(FRAME_BYTES, i + 10));
    for (const [i, frame] of frames.entries()) rig.put(Place.FRAME + i * 8192, frame);
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 4; i++)
        rig.fill({ source: rig.iova(Place.FRAME + i * 8192), output: rig.iova(Place.OUTPUT + i * 64) });
      rig.ring();
      for (let i = 0; i < 4; i++) {
        const n = round * 4 + i;
        const { tag, status, flags } = await rig.complete();
        expect([tag, status, flags]).toEqual([n, "OK", n % 5 === 0 ? 1 : 0]);
        expect(rig.get(Place.OUTPUT + i * 64, PACKET_BYTES)).toEqual(nullPacket(frames[i]!, n));
      }
    }
    expect([rig.regs.SQ_HEAD.read(), rig.regs.CQ_TAIL.read()]).toEqual([24, 24]);
  });

  test(`FORCE_KEY makes a key frame, and a flush completes after all before it, in ${where}`, async () => {
    using rig = new Rig(device, { space });
    await rig.run();
    for (const flags of [0, 0, SubmitFlag.FORCE_KEY, 0]) rig.fill({ flags });
    rig.fill({ opcode: Opcode.FLUSH, tag: 99, pts: 0 });
    rig.ring();
    const keys = [];
    for (let i = 0; i < 4; i++) keys.push((await rig.complete()).flags);
    expect(keys).toEqual([1, 0, 1, 0]);
    expect(await rig.complete()).toMatchObject({ tag: 99, status: "OK", packetBytes: 0, sequence: 5 });
    await rig.expectWorking();
  });
}

const top = 2n ** 64n;
const edge = (rig: Rig) => rig.iova(rig.memory?.sizeBytes ?? WINDOW_BYTES);
const failing: [string, string, (rig: Rig) => Partial<Entry>][] = [
  ["an unknown opcode", "BAD_DESCRIPTOR", () => ({ opcode: 3 })],
  ["opcode 0, an entry never filled", "BAD_DESCRIPTOR", () => ({ opcode: 0 })],
  ["an unknown flag", "BAD_DESCRIPTOR", () => ({ flags: 16 })],
  ["all flags but CHECK", "BAD_DESCRIPTOR", () => ({ flags: 0xffff_fff7 })],
  ["a CHECK that is wrong", "BAD_CHECK", () => ({ flags: SubmitFlag.CHECK, check: 1 })],
  ["a quantizer of 64", "BAD_DESCRIPTOR", () => ({ flags: SubmitFlag.QUANTIZER, quantizer: 64 })],
  ["a bitrate of 0", "BAD_DESCRIPTOR", () => ({ flags: SubmitFlag.BITRATE, bitrate: 0 })],
  ["a bitrate of 2^32 - 1", "BAD_DESCRIPTOR", () => ({ flags: SubmitFlag.BITRATE, bitrate: 0xffff_ffff })],
  ["no duration", "BAD_DESCRIPTOR", () => ({ duration: 0 })],
  ["a time of the frame before", "BAD_DESCRIPTOR", () => ({ pts: 1 })],
  ["a time before that", "BAD_DESCRIPTOR", () => ({ pts: 0 })],
  ["a time beyond 2^53", "BAD_DESCRIPTOR", () => ({ pts: 2n ** 53n })],
  ["a time that is negative", "BAD_DESCRIPTOR", () => ({ pts: top - 1n })],
  ["more segments than the limit", "BAD_DESCRIPTOR", () => ({ segments: 8193 })],
  ["2^32 - 1 segments", "BAD_DESCRIPTOR", () => ({ segments: 0xffff_ffff })],
  ["a byte too few", "BAD_SOURCE_SIZE", () => ({ sourceBytes: FRAME_BYTES - 1 })],
  ["a byte too many", "BAD_SOURCE_SIZE", () => ({ sourceBytes: FRAME_BYTES + 1 })],
  ["no bytes", "BAD_SOURCE_SIZE", () => ({ sourceBytes: 0 })],
  ["a frame that is not mapped", "SOURCE_FAULT", () => ({ source: 2 ** 50 })],
  [
    "a frame whose last byte is not mapped",
    "SOURCE_FAULT",
    (rig) => ({ source: edge(rig) - FRAME_BYTES + 1 }),
  ],
  ["a frame around the end of all addresses", "SOURCE_FAULT", () => ({ source: top - 4096n })],
  ["a segment list that is not mapped", "SOURCE_FAULT", () => ({ source: 2 ** 50, segments: 2 })],
  ["a segment list that ends outside", "SOURCE_FAULT", (rig) => ({ source: edge(rig) - 24, segments: 2 })],
  ["a packet's place that is not mapped", "OUTPUT_FAULT", () => ({ output: 2 ** 50 })],
  ["a packet's place that ends outside", "OUTPUT_FAULT", (rig) => ({ output: edge(rig) - PACKET_BYTES + 1 })],
  ["a packet's place around the end of all addresses", "OUTPUT_FAULT", () => ({ output: top - 8n })],
  ["a byte too little room", "OUTPUT_TOO_SMALL", () => ({ outputBytes: PACKET_BYTES - 1 })],
  ["no room", "OUTPUT_TOO_SMALL", () => ({ outputBytes: 0, output: 0 })],
];
for (const [where, space] of paths) {
  for (const [what, status, entry] of failing) {
    test(`${what} in ${where} completes with ${status}, and the next frame is encoded`, async () => {
      using rig = new Rig(device, { space });
      await rig.run();
      await rig.outcome({ pts: 1 });
      rig.clear(Place.OUTPUT, 256, 0xee);
      const completed = await rig.outcome({ tag: 7, pts: 2, ...entry(rig) });
      expect([completed.tag, completed.status, completed.flags]).toEqual([7, status, 0]);
      expect(completed.packetBytes).toBe(status === "OUTPUT_TOO_SMALL" ? PACKET_BYTES : 0);
      expect(rig.get(Place.OUTPUT, 256).every((byte) => byte === 0xee)).toBe(true);
      const onBus = space === HOST && status.endsWith("_FAULT");
      expect(aerStatus()).toBe(onBus ? UNSUPPORTED_REQUEST : 0);
      expect(rig.regs.ERRORS.read()).toBe(1);
      await rig.expectWorking();
      expect(rig.regs.STATUS.read()).toBe(States.RUNNING);
    });
  }
}

test("a frame that is mapped but for a hole in its middle is a SOURCE_FAULT", async () => {
  using rig = new Rig(device);
  using before = device.allocateDma(4096);
  using hole = device.allocateDma(4096);
  using after = device.allocateDma(4096);
  // The client hands out addresses one after the other.
  expect([hole.iova, after.iova]).toEqual([before.iova + 4096, before.iova + 8192]);
  await rig.run();
  const source = before.iova + 4000;
  const frame = noise(FRAME_BYTES, 3);
  before.bytes(4000).set(frame.subarray(0, 96));
  hole.bytes().set(frame.subarray(96, 4192));
  after.bytes(0, FRAME_BYTES - 4192).set(frame.subarray(4192));
  expect((await rig.outcome({ source })).status).toBe("OK");
  expect(rig.get(Place.OUTPUT, 16)).toEqual(nullPacket(frame, 0));
  hole[Symbol.dispose]();
  expect((await rig.outcome({ source })).status).toBe("SOURCE_FAULT");
  expect(aerStatus()).toBe(UNSUPPORTED_REQUEST);
});

type Pieces = (readonly [address: number | bigint, sizeBytes: number])[];
/** A frame laid down in pieces, back to front, with gaps between them. */
function scatter(rig: Rig, frame: Uint8Array, sizes: readonly number[]): Pieces {
  let from = 0;
  let at = 0xf_0000;
  return sizes.map((sizeBytes) => {
    at -= sizeBytes + 3;
    rig.put(at, frame.subarray(from, from + sizeBytes));
    from += sizeBytes;
    return [rig.iova(at), sizeBytes] as const;
  });
}

test("a frame in pieces gives the same packet as in one, however it is cut", async () => {
  using rig = new Rig(device);
  rig.frameBytes = 320 * 240 * 1.5;
  const frame = noise(rig.frameBytes, 5);
  await rig.run({ CODED_SIZE: 320 | (240 << 16), VISIBLE_SIZE: 320 | (240 << 16) });
  const whole = rig.frameBytes;
  const pages = Array.from({ length: Math.ceil(whole / 4096) }, (_, i) => Math.min(4096, whole - i * 4096));
  const cuts = [
    [whole],
    pages,
    [1, whole - 2, 1],
    [0, 4096, 0, 0, whole - 4096, 0],
    Array.from(
      { length: 8192 },
      (_, i) => Math.floor(((i + 1) * whole) / 8192) - Math.floor((i * whole) / 8192),
    ),
  ];
  for (const [i, sizes] of cuts.entries()) {
    const pieces = scatter(rig, frame, sizes);
    rig.list(...pieces);
    const list = { source: rig.iova(Place.LIST), segments: sizes.length };
    expect((await rig.outcome({ ...list, outputBytes: 16, output: rig.iova(0xf_8000) })).status).toBe("OK");
    expect(rig.get(0xf_8000, 16)).toEqual(nullPacket(frame, i));
  }
}, 10_000);

test("a segment list at an odd address over a border between two mappings is read right", async () => {
  using rig = new Rig(device);
  const frame = noise(FRAME_BYTES, 6);
  rig.put(Place.FRAME, frame);
  using first = device.allocateDma(4096);
  using second = device.allocateDma(4096);
  const list = new Uint8Array(32);
  const view = new DataView(list.buffer);
  view.setBigUint64(0, BigInt(rig.iova(Place.FRAME)), true);
  view.setUint32(8, 4096, true);
  view.setBigUint64(16, BigInt(rig.iova(Place.FRAME + 4096)), true);
  view.setUint32(24, FRAME_BYTES - 4096, true);
  await rig.run();
  for (const [i, inFirst] of [1, 2, 3, 5, 18, 31].entries()) {
    first.bytes(4096 - inFirst).set(list.subarray(0, inFirst));
    second.bytes(0, 32 - inFirst).set(list.subarray(inFirst));
    expect((await rig.outcome({ source: first.iova + 4096 - inFirst, segments: 2 })).status).toBe("OK");
    expect(rig.get(Place.OUTPUT, 16)).toEqual(nullPacket(frame, i));
  }
});

const badLists: [string, string, (rig: Rig) => Pieces][] = [
  ["sums up to a byte too few", "BAD_SOURCE_SIZE", (rig) => [[rig.iova(Place.FRAME), FRAME_BYTES - 1]]],
  ["sums up to a byte too many", "BAD_SOURCE_SIZE", (rig) => [[rig.iova(Place.FRAME), FRAME_BYTES + 1]]],
  ["sums up to nothing", "BAD_SOURCE_SIZE", (rig) => [[rig.iova(Place.FRAME), 0]]],
  [
    "sums up to a frame modulo 2^32",
    "BAD_SOURCE_SIZE",
    (rig) => [
      [rig.iova(Place.FRAME), FRAME_BYTES - 1],
      [rig.iova(Place.FRAME), 0xffff_ffff],
      [rig.iova(Place.FRAME), 2],
    ],
  ],
  [
    "has a piece that is not mapped",
    "SOURCE_FAULT",
    (rig) => [
      [rig.iova(Place.FRAME), 4096],
      [2 ** 50, FRAME_BYTES - 4096],
    ],
  ],
  ["has a piece near 2^64", "SOURCE_FAULT", () => [[2n ** 64n - 4096n, FRAME_BYTES]]],
  ["has a piece that ends outside", "SOURCE_FAULT", (rig) => [[edge(rig) - FRAME_BYTES + 1, FRAME_BYTES]]],
];
for (const [where, space] of paths) {
  for (const [what, status, pieces] of badLists) {
    test(`a segment list in ${where} that ${what} completes with ${status}`, async () => {
      using rig = new Rig(device, { space });
      await rig.run();
      const segments = pieces(rig);
      rig.list(...segments);
      const entry = { source: rig.iova(Place.LIST), segments: segments.length };
      expect((await rig.outcome(entry)).status).toBe(status);
      await rig.expectWorking();
    });
  }
}

test("the window's last bytes can be used, and what lies beyond can't", async () => {
  using rig = new Rig(device, { space: WINDOW });
  const frame = noise(FRAME_BYTES, 8);
  await rig.run();
  rig.put(WINDOW_BYTES - FRAME_BYTES, frame);
  expect((await rig.outcome({ source: WINDOW_BYTES - FRAME_BYTES })).status).toBe("OK");
  expect(rig.get(Place.OUTPUT, 16)).toEqual(nullPacket(frame, 0));
  expect((await rig.outcome({ output: WINDOW_BYTES - PACKET_BYTES })).status).toBe("OK");
  expect((await rig.outcome({ source: WINDOW_BYTES })).status).toBe("SOURCE_FAULT");
  expect((await rig.outcome({ output: WINDOW_BYTES })).status).toBe("OUTPUT_FAULT");
});

test("NV12 and odd sizes with padding have the frame size that the register table says", async () => {
  using rig = new Rig(device);
  for (const [width, height, format] of [
    [65, 49, 0],
    [65, 49, 1],
    [1, 1, 0],
  ] as const) {
    rig.frameBytes = width * height + 2 * Math.ceil(width / 2) * Math.ceil(height / 2);
    const frame = noise(rig.frameBytes, width + format);
    rig.put(Place.FRAME, frame);
    await rig.run({ CODED_SIZE: width | (height << 16), VISIBLE_SIZE: 1 | (1 << 16), FORMAT: format });
    expect((await rig.outcome()).status).toBe("OK");
    expect(rig.get(Place.OUTPUT, 16)).toEqual(nullPacket(frame, 0));
    rig.stop();
  }
});
