import { expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import { openCodec } from "../../../src/vp9/codec/codec.ts";
import { encodeClip, encodeFrame, framesOf, peopleClip, settingsFor, timing } from "./reference.ts";

const clip = peopleClip();

test("a null packet is NULL, the frame's CRC-32, its index and its size", async () => {
  const packets = await encodeClip("null", clip, settingsFor(clip));
  expect(packets).toHaveLength(9);
  for (const [index, frame] of framesOf(clip).entries()) {
    const { data, pts } = packets[index]!;
    const words = new DataView(data.buffer);
    expect(data.buffer.byteLength).toBe(16);
    expect(new TextDecoder().decode(data.subarray(0, 4))).toBe("NULL");
    expect([4, 8, 12].map((at) => words.getUint32(at, true))).toEqual([crc32(frame), index, frame.length]);
    expect(pts).toBe(timing(clip, index).pts);
  }
});

test("null key frames are the first, the forced and those gopFrames after the last", async () => {
  const keys = async (gopFrames: number | null) => {
    const forced = (index: number) => index === 4;
    const packets = await encodeClip("null", clip, settingsFor(clip, { gopFrames }), framesOf(clip), forced);
    return packets.flatMap(({ key }, index) => (key ? [index] : []));
  };
  expect(await keys(null)).toEqual([0, 4]);
  expect(await keys(3)).toEqual([0, 3, 4, 7]);
  expect(await keys(1)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

test("the null codec reads each frame anew, from any number of buffers", async () => {
  using codec = await openCodec("null", settingsFor(clip));
  for (const frame of [...framesOf(peopleClip({ times: 12 })), ...framesOf(clip)]) {
    const [packet] = await encodeFrame(codec, frame, timing(clip, 0));
    expect(new DataView(packet!.data.buffer).getUint32(4, true)).toBe(crc32(frame));
  }
});

test("the null codec refuses what the others refuse", async () => {
  await expect(openCodec("null", settingsFor(clip, { codedWidth: 1 }))).rejects.toThrow(/^codedWidth is 1/);
  const codec = await openCodec("null", settingsFor(clip));
  await expect(encodeFrame(codec, new Uint8Array(100), timing(clip, 0))).rejects.toThrow(
    /its layout needs 92160 bytes$/,
  );
  codec[Symbol.dispose]();
  codec[Symbol.dispose]();
  await expect(encodeFrame(codec, framesOf(clip)[0]!, timing(clip, 0))).rejects.toThrow(/closed$/);
});
