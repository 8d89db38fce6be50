import { expect, test } from "bun:test";
import { type CodecSettings, openCodec } from "../../../src/model/codec/codec.ts";
import {
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

const people = peopleClip();

test.each<[Partial<CodecSettings>, number]>([
  [{}, 42],
  [{ rateControl: "vbr", bitrateKbps: 2000 }, 42],
  [{ rateControl: "cq" }, 45],
])("webcodecs with %j gives VP9 that ffmpeg decodes to nearly the same pictures", async (more, dB) => {
  const packets = await encodeClip("webcodecs", people, settingsFor(people, more));
  expect(packets.map(({ pts }) => pts)).toEqual(
    framesOf(people).map((_, index) => timing(people, index).pts),
  );
  expect(psnr(decode(people, packets), people.bytes)).toBeGreaterThan(dB);
});

test("webcodecs encodes 1080p", async () => {
  const clip = streetClip(3);
  const packets = await encodeClip("webcodecs", clip, settingsFor(clip));
  expect(psnr(decode(clip, packets), clip.bytes)).toBeGreaterThan(44);
});

test("webcodecs gives each frame's packet at once, as a key frame, and nothing at the flush", async () => {
  using codec = await openCodec("webcodecs", settingsFor(people));
  expect(codec.version).toMatch(/^@napi-rs\/webcodecs \d+\.\d+\.\d+$/);
  for (const [index, bytes] of framesOf(people).entries()) {
    const packets = await encodeFrame(codec, bytes, timing(people, index));
    expect(packets.map(({ key, pts }) => ({ key, pts }))).toEqual([
      { key: true, pts: timing(people, index).pts },
    ]);
    expect(packets[0]!.data.buffer.byteLength).toBe(packets[0]!.data.length);
  }
  expect(await codec.flush()).toEqual([]);
});

test("webcodecs holds a bitrate roughly, although every frame is a key frame", async () => {
  const packets = await encodeClip("webcodecs", people, settingsFor(people, { bitrateKbps: 300 }));
  const bits = packets.reduce((sum, { data }) => sum + 8 * data.length, 0);
  const seconds = packets.length / (people.fps.num / people.fps.den);
  expect(bits / seconds / 1000).toBeWithin(150, 700);
});

test.each(["i420", "nv12"] as const)(
  "webcodecs reads the picture out of a larger %s buffer",
  async (format) => {
    const clip = peopleClip({ format });
    const tight = await encodeClip("webcodecs", clip, settingsFor(clip));
    const larger = settingsFor(clip, { codedWidth: 384, codedHeight: 256 });
    const loose = await encodeClip("webcodecs", clip, larger, padded(clip, 384, 256));
    expect(loose).toEqual(tight);
    expect(psnr(decode(clip, loose), people.bytes)).toBeGreaterThan(42);
  },
);

test.each<[Partial<CodecSettings>, RegExp]>([
  [{ cqLevel: 30 }, /^@napi-rs\/webcodecs [\d.]+: cqLevel 30: this engine has no quality levels/],
  [{ width: 319 }, /: picture of 319x192: only even sizes/],
  [{ height: 191 }, /: picture of 320x191: only even sizes/],
  [{ speed: 10 }, /^speed is 10/],
])("webcodecs refuses %j", async (wrong, message) => {
  const opening = openCodec("webcodecs", settingsFor(people, wrong));
  await expect(opening).rejects.toThrow(message);
  await expect(opening).rejects.toHaveProperty("name", "CodecError");
});

test("webcodecs refuses a frame smaller than its layout, and any after closing", async () => {
  const [first] = framesOf(people);
  const codec = await openCodec("webcodecs", settingsFor(people));
  await expect(encodeFrame(codec, first!.slice(1), timing(people, 0))).rejects.toThrow(
    /its layout needs 92160 bytes$/,
  );
  expect(await encodeFrame(codec, first!, timing(people, 0))).toHaveLength(1);
  codec[Symbol.dispose]();
  codec[Symbol.dispose]();
  await expect(encodeFrame(codec, first!, timing(people, 1))).rejects.toThrow(/closed/);
});
