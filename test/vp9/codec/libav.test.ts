/** FFmpeg and libvpx in WebAssembly, beside Debian's libvpx with the same settings. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { type CodecPacket, type CodecSettings, openCodec } from "../../../src/vp9/codec/codec.ts";
import {
  type Clip,
  decode,
  encodeClip,
  encodeFrame,
  framesOf,
  padded,
  peopleClip,
  psnr,
  settingsFor,
  streetClip,
  timing,
} from "./reference.ts";

// Debian's libvpx is fetched the first time, and WebAssembly is slow.
setDefaultTimeout(120_000);

const people = peopleClip();
const keys = (packets: CodecPacket[]) => packets.flatMap(({ key }, index) => (key ? [index] : []));
const sizeOf = (packets: CodecPacket[]) => packets.reduce((sum, { data }) => sum + data.length, 0);

/**
 * Encodes with both; the pictures must be as good, and the packets as large. The package has a later release of libvpx, whose
 * choices are not quite the same: with that release, the bytes would be.
 */
async function expectLikeLibvpx(
  clip: Clip,
  more: Partial<CodecSettings>,
  { dB = 0.1, size = 0.05, isForced = (_: number): boolean => false } = {},
): Promise<CodecPacket[]> {
  const settings = settingsFor(clip, { speed: 8, ...more });
  const ours = await encodeClip("libav.js", clip, settings, framesOf(clip), isForced);
  const theirs = await encodeClip("debian", clip, settings, framesOf(clip), isForced);
  expect(ours.map(({ pts, key }) => ({ pts, key }))).toEqual(theirs.map(({ pts, key }) => ({ pts, key })));
  expect(sizeOf(ours) / sizeOf(theirs)).toBeWithin(1 - size, 1 + size);
  const i420 = clip.format === "i420" ? clip : peopleClip({ ...clip, format: "i420" });
  const quality = (packets: CodecPacket[]) => psnr(decode(i420, packets), i420.bytes);
  expect(Math.abs(quality(ours) - quality(theirs))).toBeLessThan(dB);
  return ours;
}

test.each<[Partial<CodecSettings>]>([
  [{ rateControl: "cbr", bitrateKbps: 500 }],
  [{ rateControl: "vbr", bitrateKbps: 100, gopFrames: 4 }],
  [{ rateControl: "vbr", bitrateKbps: 2000, speed: 5 }],
  [{ rateControl: "cq", bitrateKbps: 2000 }],
])("libav.js with %j has libvpx's key frames, its quality within 0.1 dB and its size", async (more) => {
  await expectLikeLibvpx(people, more);
});

test("libav.js passes on the settings that FFmpeg has names for, and refuses the others by name", async () => {
  const settings = {
    ...{ minQ: 10, maxQ: 50, undershootPct: 50, overshootPct: 50, tileColumns: 1, tileRows: 1, rowMt: 0 },
    ...{ frameParallel: 0, aqMode: 3, noiseSensitivity: 0, staticThreshold: 10, tuneContent: 1 },
    ...{ errorResilient: 1, sharpness: 2, maxIntraRate: 300 },
  };
  await expectLikeLibvpx(people, { rateControl: "cbr", bitrateKbps: 500, settings }, { dB: 0.2, size: 0.1 });
  await expectLikeLibvpx(people, { rateControl: "q", cqLevel: 30 }, { dB: 0.2, size: 0.2 });
  const lossless = settingsFor(people, { speed: 8, settings: { lossless: 1 } });
  expect(decode(people, await encodeClip("libav.js", people, lossless))).toEqual(people.bytes);
  const refused = encodeClip("libav.js", people, settingsFor(people, { settings: { bufSize: 100 } }));
  expect(refused).rejects.toThrow("libav.js: it has no bufSize");
  await refused.catch(() => {});
});

test("libav.js with nothing set, or a low quality, is as near to it as its later release is", async () => {
  const later = { dB: 0.2, size: 0.2 };
  const short = { ...people, bytes: people.bytes.slice(0, 2 * framesOf(people)[0]!.length) };
  await expectLikeLibvpx(short, { speed: null }, later);
  await expectLikeLibvpx(people, {}, later);
  await expectLikeLibvpx(people, { rateControl: "cq", bitrateKbps: 2000, cqLevel: 45 }, later);
});

test("libav.js makes delta frames, and a key frame where one is forced", async () => {
  const settings = { bitrateKbps: 500 } as const;
  expect(keys(await expectLikeLibvpx(people, settings))).toEqual([0]);
  expect(keys(await expectLikeLibvpx(people, settings, { isForced: (index) => index === 5 }))).toEqual([
    0, 5,
  ]);
});

test("libav.js takes sizes that are not even, and one pixel", async () => {
  for (const format of ["i420", "nv12"] as const) {
    await expectLikeLibvpx(
      peopleClip({ width: 353, height: 289, format }),
      { bitrateKbps: 400 },
      { dB: 0.2 },
    );
    await expectLikeLibvpx(peopleClip({ width: 1, height: 1, format }), { bitrateKbps: 10 });
  }
});

test("libav.js gives NV12 the bytes of I420, out of a larger buffer, too", async () => {
  const tight = await encodeClip("libav.js", people, settingsFor(people, { speed: 8 }));
  for (const format of ["i420", "nv12"] as const) {
    const clip = peopleClip({ format });
    const larger = settingsFor(clip, { codedWidth: 384, codedHeight: 256, speed: 8 });
    expect(await encodeClip("libav.js", clip, larger, padded(clip, 384, 256))).toEqual(tight);
  }
});

test("libav.js encodes 1080p", async () => {
  await expectLikeLibvpx(streetClip(2), { bitrateKbps: 4000 }, { dB: 0.2 });
});

test("libav.js gives each frame's packet at once, and goes on after a flush", async () => {
  using codec = await openCodec("libav.js", settingsFor(people, { speed: 8 }));
  expect(codec.version).toMatch(/^libav\.js \d+\.\d+\.\d+$/);
  for (const [index, bytes] of framesOf(people).entries()) {
    const packets = await encodeFrame(codec, bytes, timing(people, index));
    expect(packets.map(({ pts }) => pts)).toEqual([timing(people, index).pts]);
    expect(packets[0]!.data.buffer.byteLength).toBe(packets[0]!.data.length);
    expect(await codec.flush()).toEqual([]);
  }
});

test("libav.js takes a time beyond 32 bits", async () => {
  using codec = await openCodec("libav.js", settingsFor(people, { speed: 8 }));
  const [first] = framesOf(people);
  const pts = 2 ** 40 + 5;
  expect((await encodeFrame(codec, first!, { pts, duration: 83 }))[0]?.pts).toBe(pts);
  const next = await encodeFrame(codec, first!, { pts: pts + 83, duration: 83 });
  expect(next.map(({ key, pts }) => ({ key, pts }))).toEqual([{ key: false, pts: pts + 83 }]);
});

test("libav.js refuses settings out of range, a picture that its memory can't hold, and then encodes another", async () => {
  await expect(openCodec("libav.js", settingsFor(people, { speed: 10 }))).rejects.toThrow(/^speed is 10/);
  const size = { width: 16384, height: 16384, codedWidth: 16384, codedHeight: 16384 };
  const opening = openCodec("libav.js", settingsFor(people, size));
  await expect(opening).rejects.toThrow(/^libav\.js [\d.]+: encoder not started: /);
  await expect(opening).rejects.toHaveProperty("name", "CodecError");
  expect(await encodeClip("libav.js", people, settingsFor(people, { speed: 8 }))).toHaveLength(9);
});

test("libav.js refuses a frame smaller than its layout, and any after closing", async () => {
  const [first] = framesOf(people);
  const codec = await openCodec("libav.js", settingsFor(people, { speed: 8 }));
  await expect(encodeFrame(codec, first!.slice(1), timing(people, 0))).rejects.toThrow(
    /its layout needs 92160 bytes$/,
  );
  expect(await encodeFrame(codec, first!, timing(people, 0))).toHaveLength(1);
  codec[Symbol.dispose]();
  codec[Symbol.dispose]();
  await expect(encodeFrame(codec, first!, timing(people, 1))).rejects.toThrow(/closed/);
});
