import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { PciDevice, Region } from "../../../src/device/device.ts";
import { DeviceError, openDevice } from "../../../src/index.ts";
import { registers } from "../../../src/vp9/contract/registers.ts";
import { COMPLETION_BYTES, Completion, CompletionStatus } from "../../../src/vp9/contract/rings.ts";
import { between } from "../encoder/between.ts";
import { config, frames, record } from "../encoder/rig.ts";

setDefaultTimeout(60_000);

describe.each(["dma", "window"] as const)("on the %s path", (path) => {
  test.each(["frame", "flush"])(
    "frames that were completed are delivered although the next %s's doorbell fails",
    async (next) => {
      const inFlight = 16;
      using device = openDevice("model:vp9?codec=null");
      let rung = 0;
      const allCompleted = () => {
        while (device.bars[0]!.read32(registers.CQ_TAIL.offset) < inFlight) Bun.sleepSync(1);
      };
      const failing = between(device, ({ index, write32 }) => ({
        write32: (offset, value) => {
          if (index === 0 && offset === registers.SQ_TAIL.offset && ++rung > inFlight) {
            allCompleted();
            throw new DeviceError("gone");
          }
          write32(offset, value);
        },
      }));
      using recorded = record({ device: failing, path, inFlight });
      const { encoder, chunks, errors } = recorded;
      await encoder.configure(config);
      const times = Array.from({ length: inFlight }, (_, index) => index * 100_000);
      const encoding = times.map((timestamp) => encoder.encode({ ...frames[0]!, timestamp }));
      // Waits for a slot, and so is submitted while the frames before are being delivered.
      const last = encoder
        .acquireFrame()
        .then((data) => (next === "frame" ? encoder.encode({ data, timestamp: 1e9 }) : encoder.flush()));
      await Promise.all(encoding);
      allCompleted();
      await expect(last).rejects.toThrow("gone");
      expect(errors).toHaveLength(1);
      expect(chunks.map(({ timestamp }) => timestamp)).toEqual(times);
    },
  );
});

/** What a completion's words are to be instead, by their names; each is told the word that the device wrote. */
type Lies = Readonly<Record<number, (word: number, before: (field: number) => number) => number>>;

/** A device whose completion `number` of the stream, from 1, lies; its memory is the window. */
function lying(device: PciDevice, number: number, lies: Lies): PciDevice {
  const [bar0] = device.bars as [Region];
  return between(device, ({ index, read32 }) => ({
    read32: (offset) => {
      const word = read32(offset);
      if (index !== 1) return word;
      const ring = bar0.read32(registers.CQ_LO.offset);
      const entries = 1 << bar0.read32(registers.RING_LOG2.offset);
      const entry = Math.floor((offset - ring) / COMPLETION_BYTES);
      const field = (offset - ring) % COMPLETION_BYTES;
      if (offset < ring || entry >= entries || entry !== (number - 1) % entries) return word;
      if (read32(offset - field + Completion.SEQUENCE) !== number) return word;
      const previous = ring + ((number - 2) % entries) * COMPLETION_BYTES;
      return lies[field]?.(word, (of) => read32(previous + of)) ?? word;
    },
  }));
}

describe("a completion that can't be right ends the encoding, and the frames before it are out:", () => {
  const repeated = (field: number) => (_: number, before: (field: number) => number) => before(field);
  const status = (code: number) => (word: number) => (word & 0xffff_0000) | code;
  const FLUSH_TAG = 0xffff_ffff;
  const FLUSH = frames.length + 1;
  const cases: [string, number, number, Lies, RegExp][] = [
    [
      "the one before, once more",
      5,
      1,
      Object.fromEntries([0, 4, 8, 12, 16, 20].map((field) => [field, repeated(field)])),
      /completion 5 has PTS 250, but slot 0 was submitted with 333: the device or its memory is corrupt$/,
    ],
    [
      "another time's upper half",
      5,
      2,
      { [Completion.PTS + 4]: () => 1 },
      /completion 5 has PTS 4294967629, but slot 0/,
    ],
    [
      "a tag that is not under way",
      5,
      2,
      { [Completion.TAG]: () => 77 },
      /completion 5 names tag 0x4d, which is not in flight/,
    ],
    [
      "a later frame's tag",
      5,
      2,
      { [Completion.TAG]: () => 1 },
      // Whether that frame is under way already is a matter of time.
      /completion 5 (is for slot 1, but slot 0 is next|names tag 0x1, which is not in flight)/,
    ],
    [
      "a flush's tag",
      9,
      2,
      { [Completion.TAG]: () => FLUSH_TAG },
      /completion 9 (is for the flush, but slot 0 is next|names tag 0xffffffff)/,
    ],
    [
      "OK and no packet",
      5,
      2,
      { [Completion.PACKET_BYTES]: () => 0 },
      /completion 5 is OK and has a packet of 0 bytes/,
    ],
    [
      "dropped and a packet",
      5,
      2,
      { [Completion.STATUS]: status(CompletionStatus.DROPPED) },
      /completion 5 is DROPPED and has a packet of \d+ bytes/,
    ],
    [
      "a layer that the stream has not",
      5,
      2,
      { [Completion.STATUS]: (word) => word | (1 << 17) },
      /completion 5 has temporal layer 1, but there are 1, and key frames are in 0/,
    ],
    [
      "an unknown status",
      5,
      2,
      { [Completion.STATUS]: status(99) },
      /frame 5 of the stream failed: unknown status 99$/,
    ],
    [
      "a packet larger than its place",
      5,
      2,
      { [Completion.PACKET_BYTES]: () => 0xffff_fff0 },
      /frame 5 of the stream failed: its packet of 4294967280 bytes does not fit/,
    ],
    [
      "a first frame that is no key frame",
      1,
      2,
      { [Completion.STATUS]: () => 0 },
      /completion 1 has a delta frame, but frame 1 must be a key frame/,
    ],
    [
      "a forced key frame that is none",
      5,
      2,
      { [Completion.STATUS]: () => 0 },
      /completion 5 has a delta frame, but frame 5 must be a key frame/,
    ],
    [
      "a packet a byte shorter",
      5,
      2,
      { [Completion.PACKET_BYTES]: (word) => word - 1 },
      /completion 5 or its packet is not what its CHECK was made of: the device or its memory is corrupt$/,
    ],
    [
      "another time that the codec took",
      5,
      2,
      { [Completion.BUSY_US]: (word) => word ^ 1 },
      /completion 5 or its packet is not what its CHECK was made of/,
    ],
    [
      "a flush with another CHECK",
      FLUSH,
      2,
      { [Completion.CHECK]: (word) => word ^ 0x8000_0000 },
      /completion 10 or its packet is not what its CHECK was made of/,
    ],
    [
      "a flush with a packet",
      FLUSH,
      2,
      { [Completion.PACKET_BYTES]: () => 9 },
      /completion 10 is OK and has a packet of 9 bytes/,
    ],
    [
      "a dropped flush",
      FLUSH,
      2,
      { [Completion.STATUS]: status(CompletionStatus.DROPPED) },
      /the flush failed: DROPPED/,
    ],
  ];
  test.each(cases)("%s", async (_, number, inFlight, lies, message) => {
    using device = openDevice("model:vp9");
    using recorded = record({ device: lying(device, number, lies), path: "window", inFlight });
    const { encoder, chunks, errors } = recorded;
    await encoder.configure(config);
    const encoding = frames.map((frame, index) => encoder.encode(frame, { keyFrame: index === 4 }));
    await Promise.allSettled(encoding);
    await expect(encoder.flush()).rejects.toThrow(message);
    expect(errors).toHaveLength(1);
    expect(chunks.map(({ timestamp }) => timestamp)).toEqual(
      frames.slice(0, number - 1).map(({ timestamp }) => timestamp),
    );
  });
});
