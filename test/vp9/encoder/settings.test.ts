/** Every setting's packets against vpxenc's, with the same libvpx, on both paths. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import {
  type EncodedChunk,
  Encoder,
  type EncoderConfig,
  openDevice,
  openEncoder,
} from "../../../src/index.ts";
import { frameTimeUs } from "../../../src/media/video.ts";
import { registers } from "../../../src/vp9/contract/registers.ts";
import {
  type SettingName,
  type Settings,
  settingNames,
  settings,
} from "../../../src/vp9/contract/settings.ts";
import { readIvf } from "../../media/read-ivf.ts";
import { failure, tempFolder } from "../../media/rig.ts";
import { encodeJson } from "../../scripts/rig.ts";
import { framesOf, peopleClip } from "../codec/reference.ts";
import { between } from "./between.ts";

setDefaultTimeout(120_000);
const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

/** Wide enough for two columns of tiles, and more frames than any buffer holds. */
const clip = peopleClip({ width: 640, height: 384, times: 2 });
const raw = folder.file("people.yuv");
writeFileSync(raw, clip.bytes);
const frames = framesOf(clip).map((data, index) => ({
  data,
  timestamp: frameTimeUs(index, clip.fps),
  duration: frameTimeUs(index + 1, clip.fps) - frameTimeUs(index, clip.fps),
}));

type RateControl = "cbr" | "vbr" | "cq" | "q";
const modes = { cbr: "constant", vbr: "variable", cq: "quantizer", q: "constant-quality" } as const;

interface Case {
  readonly rc: RateControl;
  readonly threads?: number;
  readonly settings: Settings;
}

const configOf = ({ rc, threads = 1, settings }: Case): EncoderConfig => ({
  width: clip.width,
  height: clip.height,
  framerate: clip.fps,
  bitrateMode: modes[rc],
  bitrate: 300_000,
  gop: 128,
  threads,
  ...settings,
});

function vpxencWords(given: Settings): string[] {
  const words = settingNames.map((name) => [settings[name].option, given[name]] as const);
  return words.flatMap(([option, value]) =>
    value === undefined ? [] : [`--${option}=${typeof value === "boolean" ? Number(value) : value}`],
  );
}

const INPUT = ["--i420", `--width=${clip.width}`, `--height=${clip.height}`, "--fps=12/1"];
const summary = (packets: readonly { pts: number; data: Uint8Array }[]) =>
  packets.map(({ pts, data }) => `${pts}: ${data.length} bytes, ${Bun.hash(data).toString(16)}`);

/** vpxenc's packets, or undefined if libvpx refuses the settings. */
function vpxenc(input: readonly string[], { rc, threads = 1, settings }: Case): string[] | undefined {
  const output = folder.file("theirs.ivf");
  const { exitCode } = Bun.spawnSync([
    ...["vpxenc", "--codec=vp9", "--rt", "--lag-in-frames=0", "--ivf", "-q", "-y", ...input],
    ...["--cpu-used=8", "--kf-max-dist=128", "--target-bitrate=300", `--threads=${threads}`],
    ...[`--end-usage=${rc}`, ...vpxencWords(settings), "-o", output, raw],
  ]);
  return exitCode === 0 ? summary(readIvf(readFileSync(output)).packets) : undefined;
}

const paths = ["dma", "window"] as const;
const device = openDevice("model:vp9?codec=libvpx");
afterAll(() => device[Symbol.dispose]());

/** The library's packets, or undefined if the device's codec refuses the settings. */
async function encode(
  path: (typeof paths)[number],
  config: EncoderConfig,
  on = device,
): Promise<string[] | undefined> {
  const chunks: EncodedChunk[] = [];
  using encoder = openEncoder({ device: on, path, output: (chunk) => chunks.push(chunk) });
  try {
    await encoder.configure(config);
  } catch (error) {
    expect(String(error)).toContain("CODEC_REFUSED");
    return undefined;
  }
  for (const frame of frames) await encoder.encode(frame);
  await encoder.flush();
  return summary(chunks.map(({ timestamp, data }) => ({ pts: Math.floor(timestamp / 1000), data })));
}

/** Values to try: all of a few, else the ends and some between; libvpx takes only two for GOP_MIN. */
function valuesOf(name: SettingName): unknown[] {
  const setting = settings[name];
  if ("names" in setting) return [...setting.names];
  if ("flag" in setting) return [false, true];
  if (name === "gopMin") return [0, 128];
  const [low, high] = registers[setting.register].range;
  const middle = high > 1000 ? [10, 600] : [Math.floor(high / 4), Math.ceil(high / 2)];
  return [...new Set([low, ...middle, high])];
}

/** What a setting needs to matter. */
const surroundings: Partial<Record<SettingName, Partial<Case>>> = {
  rowMt: { threads: 2 },
  tileColumns: { threads: 2 },
  bufSize: { settings: { dropFrame: 60 } },
};

const surrounded = (name: SettingName): Case => ({ rc: "cbr", settings: {}, ...surroundings[name] });

/**
 * In real time libvpx encodes no frame twice, which OVERSHOOT decides on, and places no key frame of its own choice, which
 * GOP_MIN could put off.
 */
const WITHOUT_EFFECT: readonly SettingName[] = ["overshootPct", "gopMin"];

const known = new Map<string, string[] | undefined>();
function reference(testCase: Case): string[] | undefined {
  const key = JSON.stringify(testCase);
  if (!known.has(key)) known.set(key, vpxenc(INPUT, testCase));
  return known.get(key);
}

let compared = 0;
let refused = 0;
async function expectVpxencs(testCase: Case): Promise<void> {
  const theirs = reference(testCase);
  for (const path of paths) {
    const ours = await encode(path, configOf(testCase));
    expect({ path, packets: ours }).toEqual({ path, packets: theirs });
  }
  compared += theirs?.length ?? 0;
  if (theirs === undefined) refused++;
}
afterAll(() =>
  console.log(
    `${known.size} settings, ${compared} packets as vpxenc's on each path; ${refused} refused by both`,
  ),
);

describe("packets are vpxenc's, byte for byte, on both paths", () => {
  test.each(["cbr", "vbr", "cq", "q"] as const)("with --rc %s alone", (rc) =>
    expectVpxencs({ rc, settings: {} }),
  );

  test.each([...settingNames])("with each value of %s alone", async (name) => {
    const around = surrounded(name);
    const results = new Set([String(reference(around))]);
    for (const value of valuesOf(name)) {
      const testCase = { ...around, settings: { ...around.settings, [name]: value } };
      await expectVpxencs(testCase);
      results.add(String(reference(testCase)));
    }
    // Equal packets whatever the value would prove nothing.
    expect({ name, hasEffect: results.size > 1 }).toEqual({
      name,
      hasEffect: !WITHOUT_EFFECT.includes(name),
    });
  });

  test("in ten random combinations", async () => {
    let state = 12;
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    for (let index = 0; index < 10; index++) {
      const chosen: Record<string, unknown> = {};
      for (const name of settingNames) {
        const values = valuesOf(name);
        if (random(5) < 2) chosen[name] = values[random(values.length)];
      }
      const rc = (["cbr", "vbr", "cq", "q"] as const)[random(4)]!;
      await expectVpxencs({ rc, settings: chosen as Settings });
    }
  });

  test("from encode.ts, with all settings at once", async () => {
    const all: Settings = {
      ...{ minQ: 4, maxQ: 50, undershootPct: 50, overshootPct: 10, bufSize: 1000, bufInitialSize: 500 },
      ...{ bufOptimalSize: 600, dropFrame: 30, gopMin: 0, tileColumns: 1, tileRows: 1, rowMt: false },
      ...{
        frameParallel: false,
        aqMode: 3,
        noiseSensitivity: 0,
        staticThreshold: 100,
        tuneContent: "screen",
      },
      ...{ errorResilient: true, lossless: false, sharpness: 2, maxIntraRate: 300, colorSpace: "bt709" },
    };
    expect(Object.keys(all).sort()).toEqual([...settingNames].sort());
    const output = folder.file("ours.ivf");
    const words = vpxencWords(all).flatMap((word) => word.split("="));
    const size = ["--size", `${clip.width}x${clip.height}`, "--fps", "12"];
    const fixed = ["--rc", "cbr", "--bitrate", "300", "--gop", "128", "--skip", "2", "--limit", "20"];
    await encodeJson(raw, ...size, ...fixed, ...words, "-o", output);
    const theirs = vpxenc([...INPUT, "--skip=2", "--limit=20"], { rc: "cbr", settings: all });
    expect(theirs!.length).toBeGreaterThan(5);
    expect(summary(readIvf(readFileSync(output)).packets)).toEqual(theirs!);
  });
});

test("what a setting is documented to be without it is what libvpx does without it", async () => {
  for (const name of settingNames) {
    const { fallback } = settings[name];
    const text = fallback.split(",")[0]!;
    const value = "names" in settings[name] ? text : "flag" in settings[name] ? text === "1" : Number(text);
    const plain = surrounded(name);
    const stated = reference({ ...plain, settings: { ...plain.settings, [name]: value } });
    expect({ name, packets: stated }).toEqual({ name, packets: reference(plain) });
  }
});

describe("while the stream runs", () => {
  const plain: Case = { rc: "cbr", settings: {} };
  const gather = async (
    use: (encoder: Encoder, frame: (typeof frames)[number], index: number) => Promise<void>,
  ) => {
    const chunks: EncodedChunk[] = [];
    using encoder = openEncoder({ device, output: (chunk) => chunks.push(chunk) });
    await encoder.configure(configOf(plain));
    for (const [index, frame] of frames.entries()) await use(encoder, frame, index);
    await encoder.flush();
    return chunks;
  };
  const packets = (chunks: EncodedChunk[]) =>
    summary(chunks.map(({ timestamp, data }) => ({ pts: Math.floor(timestamp / 1000), data })));
  const bytes = (chunks: EncodedChunk[]) => chunks.reduce((sum, { data }) => sum + data.byteLength, 0);

  test("each frame's quantizer is what --min-q and --max-q are for a stream", async () => {
    const chunks = await gather((encoder, frame) => encoder.encode(frame, { vp9: { quantizer: 20 } }));
    expect(packets(chunks)).toEqual(reference({ ...plain, settings: { minQ: 20, maxQ: 20 } })!);
  });

  test("a quantizer is for its frame alone, and the frames before it are as without it", async () => {
    const vp9 = { quantizer: 2 };
    const chunks = await gather((encoder, frame, index) => encoder.encode(frame, index === 6 ? { vp9 } : {}));
    expect(packets(chunks).slice(0, 6)).toEqual(reference(plain)!.slice(0, 6));
    const sizes = chunks.map(({ data }) => data.byteLength);
    expect(sizes[6]).toBeGreaterThan(4 * Math.max(sizes[5]!, sizes[7]!));
    expect(chunks.map(({ type }) => type).indexOf("key", 1)).toBe(-1);
  });

  test.each([-1, 64, 1.5, Number.NaN])(
    "a quantizer of %p is refused, and the stream goes on",
    async (quantizer) => {
      const chunks = await gather(async (encoder, frame, index) => {
        if (index === 3)
          expect((await failure(() => encoder.encode(frame, { vp9: { quantizer } }))).message).toBe(
            `quantizer is ${quantizer}; it must be a whole number from 0 to 63`,
          );
        await encoder.encode(frame);
      });
      expect(packets(chunks)).toEqual(reference(plain)!);
    },
  );

  test("another bitrate or frame rate needs no key frame, and applies from the next frame on", async () => {
    const change = (more: Partial<EncoderConfig>) =>
      gather(async (encoder, frame, index) => {
        if (index === 6) await encoder.configure({ ...configOf(plain), ...more });
        await encoder.encode(frame);
      });
    const faster = await change({ bitrate: 2_000_000 });
    expect(packets(faster).slice(0, 6)).toEqual(reference(plain)!.slice(0, 6));
    expect(faster.map(({ type }) => type).indexOf("key", 1)).toBe(-1);
    expect(bytes(faster.slice(6))).toBeGreaterThan(1.25 * bytes((await change({ framerate: 25 })).slice(6)));
    expect(packets(await change({ framerate: 25 }))).toEqual(reference(plain)!);
    // Anything else begins a stream anew.
    const anew = await change({ bitrate: 2_000_000, aqMode: 3 });
    expect(anew.map(({ type }) => type).indexOf("key", 1)).toBe(6);
  });
});

describe("a device of interface 1.0", () => {
  /** The same model, as it was: no settings from 1.1, and no register beyond those of 1.0. */
  const writes: number[] = [];
  const old = between(device, (bar) =>
    bar.index !== 0
      ? {}
      : {
          read32: (offset) =>
            offset === registers.VERSION.offset
              ? 0x1_0000
              : offset === registers.CAPS.offset
                ? 0x1ff
                : bar.read32(offset),
          write32: (offset, value) => {
            writes.push(offset);
            bar.write32(offset, value);
          },
        },
  );

  test("encodes as before, and none of the registers of 1.1 is touched", async () => {
    const plain: Case = { rc: "cbr", settings: {} };
    expect(await encode("dma", configOf(plain), old)).toEqual(reference(plain)!);
    expect(writes.length).toBeGreaterThan(20);
    expect(Math.max(...writes)).toBeLessThan(registers.MIN_Q.offset);
  });

  test.each([
    [{ minQ: 3 }, {}, "minQ"],
    [{ bitrateMode: "constant-quality" }, {}, "constant quality"],
    [{}, { vp9: { quantizer: 3 } }, "CAPS.FRAME_CONTROL"],
  ] as const)("refuses what 1.1 added with words: %j, %j", async (given, options, what) => {
    using encoder = openEncoder({ device: old, output: () => {} });
    const error = await failure(async () => {
      await encoder.configure({ ...configOf({ rc: "cbr", settings: {} }), ...given });
      await encoder.encode(frames[0]!, options);
    });
    expect(error.message).toContain(what);
  });

  test.each([
    [{}, true, true],
    [{ minQ: 3 }, true, false],
    [{ bitrateMode: "constant-quality" }, true, false],
    [{ minQ: 64 }, false, false],
  ] as const)(
    "isConfigSupported of %j is %p on today's device and %p on that one",
    async (given, today, then) => {
      const all = { ...configOf({ rc: "cbr", settings: {} }), ...given };
      expect((await Encoder.isConfigSupported(all, { device })).supported).toBe(today);
      expect((await Encoder.isConfigSupported(all, { device: old })).supported).toBe(then);
    },
  );
});
