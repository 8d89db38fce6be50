import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { type CodecPacket, type CodecSettings, openCodec } from "../../../src/vp9/codec/codec.ts";
import {
  type Clip,
  encodeClip,
  encodeFrame,
  framesOf,
  padded,
  peopleClip,
  settingsFor,
  streetClip,
  timing,
  vpxenc,
} from "./reference.ts";

// The slow settings take seconds on a busy machine.
setDefaultTimeout(60_000);

const people = peopleClip();
const hash = (data: Uint8Array) => Bun.hash(data).toString(16);
const summary = (packets: { pts: number; data: Uint8Array }[]) =>
  packets.map(({ pts, data }) => `${pts}: ${data.length} bytes, ${hash(data)}`);
const keys = (packets: CodecPacket[]) => packets.flatMap(({ key }, index) => (key ? [index] : []));

async function expectVpxencBytes(clip: Clip, more: Partial<CodecSettings>): Promise<CodecPacket[]> {
  const settings = settingsFor(clip, more);
  const packets = await encodeClip("libvpx", clip, settings);
  expect(packets).toHaveLength(framesOf(clip).length);
  expect(summary(packets)).toEqual(summary(vpxenc(clip, settings)));
  return packets;
}

describe("libvpx gives byte for byte what vpxenc gives", () => {
  const longer = peopleClip({ times: 3 });
  const cases: Partial<CodecSettings>[] = [
    { rateControl: "cbr", bitrateKbps: 100, speed: 8 },
    { rateControl: "cbr", bitrateKbps: 1500, speed: 5, gopFrames: 10 },
    { rateControl: "cbr", bitrateKbps: 300, speed: -6 },
    { rateControl: "vbr", bitrateKbps: 60, speed: 9 },
    { rateControl: "vbr", bitrateKbps: 800, speed: 6, gopFrames: 5 },
    { rateControl: "cq", cqLevel: 20, bitrateKbps: 2000, speed: 7 },
    { rateControl: "cq", cqLevel: 45, bitrateKbps: 2000, speed: 5 },
    { rateControl: "cq", cqLevel: 50, speed: 5, gopFrames: 1 },
    { rateControl: "cq", cqLevel: 0, speed: 8, gopFrames: 0 },
    { rateControl: "vbr", bitrateKbps: 500, speed: 8, threads: 2 },
  ];
  test.each(cases.map((settings) => [JSON.stringify(settings), settings] as const))(
    "with %s",
    async (_, settings) => {
      await expectVpxencBytes(longer, settings);
    },
  );

  test("with nothing set, at libvpx's own slow speed", async () => {
    const clip = { ...people, bytes: people.bytes.slice(0, 3 * framesOf(people)[0]!.length) };
    await expectVpxencBytes(clip, {});
    await expectVpxencBytes(clip, { rateControl: "vbr" });
    await expectVpxencBytes(clip, { rateControl: "cq" });
  });

  test("at sizes that are not even, and at one pixel", async () => {
    for (const format of ["i420", "nv12"] as const) {
      await expectVpxencBytes(peopleClip({ width: 353, height: 289, format }), {
        bitrateKbps: 400,
        speed: 7,
      });
      await expectVpxencBytes(peopleClip({ width: 1, height: 1, format }), { bitrateKbps: 10, speed: 7 });
      await expectVpxencBytes(peopleClip({ width: 1, height: 1, format }), { threads: 8 });
    }
  });

  test("for NV12, which gives the bytes of I420", async () => {
    const settings = { bitrateKbps: 400, speed: 7 };
    const nv12 = await expectVpxencBytes(peopleClip({ format: "nv12" }), settings);
    expect(summary(nv12)).toEqual(summary(await expectVpxencBytes(people, settings)));
  });

  test("at a frame rate that is no whole number of milliseconds", async () => {
    const clip = peopleClip({ fps: { num: 30000, den: 1001 } });
    const packets = await expectVpxencBytes(clip, { bitrateKbps: 400, speed: 7 });
    expect(packets.map(({ pts }) => pts)).toEqual([0, 33, 66, 100, 133, 166, 200, 233, 266]);
  });

  test("at 1080p", async () => {
    await expectVpxencBytes(streetClip(8), { bitrateKbps: 4000, speed: 8 });
  });
});

describe("libvpx", () => {
  test.each(["i420", "nv12"] as const)("reads the picture out of a larger %s buffer", async (format) => {
    const settings = { bitrateKbps: 400, speed: 7 };
    for (const [width, height, codedWidth, codedHeight] of [
      [320, 192, 384, 256],
      [353, 289, 353, 300],
      [353, 289, 401, 291],
      [1, 1, 16, 16],
    ] as const) {
      const clip = peopleClip({ width, height, format });
      const tight = await encodeClip("libvpx", clip, settingsFor(clip, settings));
      const inLarger = settingsFor(clip, { ...settings, codedWidth, codedHeight });
      const loose = await encodeClip("libvpx", clip, inLarger, padded(clip, codedWidth, codedHeight));
      expect(summary(loose)).toEqual(summary(tight));
    }
  });

  test("makes key frames where they are forced, and otherwise only the first", async () => {
    const settings = settingsFor(people, { bitrateKbps: 400, speed: 7 });
    expect(keys(await encodeClip("libvpx", people, settings))).toEqual([0]);
    const forced = await encodeClip(
      "libvpx",
      people,
      settings,
      framesOf(people),
      (index) => index === 3 || index === 4,
    );
    expect(keys(forced)).toEqual([0, 3, 4]);
  });

  test("keeps streams apart, and their memory alive, when they are encoded in turn", async () => {
    const variants = [200, 900].map((bitrateKbps) => settingsFor(people, { bitrateKbps, speed: 8 }));
    const alone = await Promise.all(variants.map((settings) => encodeClip("libvpx", people, settings)));
    const codecs = await Promise.all(variants.map((settings) => openCodec("libvpx", settings)));
    const inTurn: CodecPacket[][] = codecs.map(() => []);
    for (const [index, bytes] of framesOf(people).entries()) {
      for (const [stream, codec] of codecs.entries()) {
        inTurn[stream]!.push(...(await encodeFrame(codec, bytes, timing(people, index))));
        Bun.gc(true);
      }
    }
    for (const codec of codecs) codec[Symbol.dispose]();
    expect(inTurn.map(summary)).toEqual(alone.map(summary));
  });

  test("works with as many threads as it is given", async () => {
    // libvpx's threads carry the process's own name, or (newer releases) one that starts with "vpx".
    const own = readFileSync("/proc/self/comm", "utf8");
    const named = (task: string) => readFileSync(`/proc/self/task/${task}/comm`, "utf8");
    const count = () =>
      readdirSync("/proc/self/task").filter((task) =>
        [own, "vpx"].some((name) => named(task).startsWith(name)),
      ).length;
    const clip = peopleClip({ width: 1024, height: 64 });
    const before = count();
    for (const threads of [1, 2, 4]) {
      using codec = await openCodec("libvpx", settingsFor(clip, { speed: 8, threads }));
      await encodeFrame(codec, framesOf(clip)[0]!, timing(clip, 0));
      expect(count() - before).toBe(threads - 1);
    }
  });

  test("goes on after a flush as if there had been none", async () => {
    const settings = settingsFor(people, { bitrateKbps: 400, speed: 7 });
    using codec = await openCodec("libvpx", settings);
    const packets: CodecPacket[] = [];
    for (const [index, bytes] of framesOf(people).entries()) {
      packets.push(...(await encodeFrame(codec, bytes, timing(people, index))));
      expect(await codec.flush()).toEqual([]);
    }
    expect(summary(packets)).toEqual(summary(await encodeClip("libvpx", people, settings)));
  });

  test("gives packets that own their memory and can be transferred", async () => {
    const [packet] = await encodeClip("libvpx", people, settingsFor(people, { speed: 8 }));
    const { buffer, byteLength } = packet!.data;
    expect(buffer.byteLength).toBe(byteLength);
    expect(structuredClone(packet!.data, { transfer: [buffer] })).toHaveLength(byteLength);
    expect(buffer.byteLength).toBe(0);
  });

  test.each<[Partial<CodecSettings>, RegExp]>([
    [{ width: 0 }, /^width is 0: must be a whole number from 1 to 16384$/],
    [{ height: 16385 }, /^height is 16385/],
    [{ codedWidth: 319 }, /^codedWidth is 319: must be a whole number from 320 to/],
    [{ codedHeight: 100 }, /^codedHeight is 100/],
    [{ bitrateKbps: 0 }, /^bitrateKbps is 0/],
    [{ bitrateKbps: 1.5 }, /^bitrateKbps is 1.5/],
    [{ rateControl: "cq", cqLevel: 64 }, /^cqLevel is 64: must be a whole number from 0 to 63$/],
    [{ speed: 10 }, /^speed is 10: must be a whole number from -9 to 9$/],
    [{ gopFrames: -1 }, /^gopFrames is -1/],
    [{ threads: 0 }, /^threads is 0/],
    [{ timebase: { num: 1, den: 0 } }, /^timebase is 1\/0: must be a fraction/],
    [
      { timebase: { num: 1, den: 2_000_000_000 } },
      /^libvpx v[\d.]+: encoder not started: .*\(g_timebase.den out of range/,
    ],
  ])("refuses %j, naming the field", async (wrong, message) => {
    const opening = openCodec("libvpx", settingsFor(people, wrong));
    await expect(opening).rejects.toThrow(message);
    await expect(opening).rejects.toHaveProperty("name", "CodecError");
  });

  test("refuses a frame smaller than its layout or without duration, and stays usable", async () => {
    const [first, second] = framesOf(people);
    using codec = await openCodec("libvpx", settingsFor(people));
    await expect(encodeFrame(codec, first!.slice(1), timing(people, 0))).rejects.toThrow(
      /^frame of 92159 bytes at 0x[0-9a-f]+: its layout needs 92160 bytes$/,
    );
    await expect(encodeFrame(codec, first!, { pts: 0, duration: 0 })).rejects.toThrow(
      /^libvpx v[\d.]+: frame at pts 0: Invalid parameter$/,
    );
    expect(await encodeFrame(codec, first!, timing(people, 0))).toHaveLength(1);
    expect(await encodeFrame(codec, second!, timing(people, 1))).toHaveLength(1);
  });

  test("closes twice without harm and says so to a frame that comes later", async () => {
    const codec = await openCodec("libvpx", settingsFor(people));
    codec[Symbol.dispose]();
    codec[Symbol.dispose]();
    await expect(encodeFrame(codec, framesOf(people)[0]!, timing(people, 0))).rejects.toThrow(/closed$/);
    expect(() => codec.flush()).toThrow(/closed$/);
  });
});
