/** What encode.ts writes against what vpxenc writes from the same input with the same settings. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { readIvf } from "../media/read-ivf.ts";
import { CLIP, CLIP_FRAMES, decodedMd5, packetTimes, run, tempFolder } from "../media/rig.ts";
import { psnr, street } from "../vp9/codec/reference.ts";
import { encodeJson } from "./rig.ts";

setDefaultTimeout(60_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

interface Input {
  readonly path: string;
  readonly frames: number;
  /** What this input needs to be told of, to either program. */
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
}

const people: Input = {
  path: CLIP,
  frames: CLIP_FRAMES,
  ours: ["--size", "320x192", "--fps", "12"],
  theirs: ["--i420", "-w", "320", "-h", "192", "--fps=12/1"],
};
const y4m = (path: string, frames: number): Input => ({ path, frames, ours: [], theirs: [] });

/** The clip of people, converted by ffmpeg. */
function people353(name: string, ...options: string[]): string {
  const path = folder.file(name);
  const source = "-f rawvideo -pix_fmt yuv420p -s 320x192 -r 12 -i".split(" ");
  run("ffmpeg", "-v", "error", ...source, CLIP, ...options, path);
  return path;
}

interface Settings {
  readonly rc?: "cbr" | "vbr" | "cq";
  readonly bitrate?: number;
  readonly cqLevel?: number;
  readonly gop?: number;
  readonly speed?: number;
  readonly threads?: number;
  readonly frames?: number;
}

function ourOptions({ rc = "cbr", bitrate, cqLevel, gop = 128, speed, threads, frames }: Settings): string[] {
  const option = (name: string, value: unknown) => (value === undefined ? [] : [`--${name}`, `${value}`]);
  return [
    ...["--rc", rc, ...option("bitrate", bitrate), ...option("cq-level", cqLevel), ...option("gop", gop)],
    ...[...option("speed", speed), ...option("threads", threads), ...option("frames", frames)],
  ];
}

/** The same settings in vpxenc's words; vpxenc by itself has other defaults for the key-frame distance and speed. */
function vpxencOptions({
  rc = "cbr",
  bitrate,
  cqLevel,
  gop = 128,
  speed = 8,
  threads = 1,
  frames,
}: Settings) {
  const option = (name: string, value: unknown) => (value === undefined ? [] : [`--${name}=${value}`]);
  return [
    ...["--codec=vp9", "--rt", "--lag-in-frames=0", "--ivf", `--end-usage=${rc}`, `--kf-max-dist=${gop}`],
    ...[...option("target-bitrate", bitrate), ...option("cq-level", cqLevel), ...option("limit", frames)],
    ...[`--cpu-used=${speed}`, `--threads=${threads}`],
  ];
}

const known = new Map<string, Buffer>();
/** vpxenc's file, made once for the same input and settings. */
function vpxenc(input: Input, settings: Settings): Buffer {
  const command = [...vpxencOptions(settings), ...input.theirs, input.path];
  const found = known.get(command.join(" "));
  if (found) return found;
  const output = folder.file(`vpxenc-${known.size}.ivf`);
  run("vpxenc", ...command, "-o", output);
  const bytes = readFileSync(output);
  known.set(command.join(" "), bytes);
  return bytes;
}

/** Encodes, expects vpxenc's whole file, and gives the report. */
async function expectVpxencFile(input: Input, settings: Settings, ...more: string[]) {
  const output = folder.file("ours.ivf");
  const report = await encodeJson(input.path, ...input.ours, ...ourOptions(settings), ...more, "-o", output);
  const theirs = vpxenc(input, settings);
  const ours = readFileSync(output);
  // Told apart by packets first: two files of 100 KB make no message.
  const packets = (ivf: Buffer) =>
    readIvf(ivf).packets.map(({ pts, data }) => `${pts}: ${data.length} bytes, ${Bun.hash(data)}`);
  expect(packets(ours)).toEqual(packets(theirs));
  expect(ours.equals(theirs)).toBe(true);
  const frames = settings.frames ?? input.frames;
  expect(packets(ours)).toHaveLength(frames);
  expect(report.frames).toBe(frames);
  return report;
}

const rates: Settings[] = [
  { rc: "cbr", bitrate: 300 },
  { rc: "vbr", bitrate: 300 },
  { rc: "cq", bitrate: 600, cqLevel: 30 },
];
const paths = ["dma", "window"];
const depths = [1, 2, 8];

describe("encode.ts writes vpxenc's file, byte for byte,", () => {
  const combinations = rates.flatMap((settings) =>
    paths.flatMap((path) => depths.map((inFlight) => ({ rc: settings.rc, path, inFlight, settings }))),
  );
  test.each(combinations)(
    "from raw video with $rc on the $path path with $inFlight in flight",
    async ({ settings, path, inFlight }) => {
      const report = await expectVpxencFile(people, settings, "--path", path, "--in-flight", `${inFlight}`);
      expect(report).toMatchObject({ path, inFlight });
    },
  );

  describe("from 54 frames of 1080p y4m", () => {
    let input: Input;
    beforeAll(() => {
      const path = folder.file("street.y4m");
      run("ffmpeg", "-v", "error", "-i", street.path, "-pix_fmt", "yuv420p", path);
      input = y4m(path, 54);
    });
    const large = rates.map((settings) => ({ ...settings, bitrate: 4000 }));
    const all = large.flatMap((settings) =>
      paths.flatMap((path) => depths.map((asked) => ({ rc: settings.rc, path, asked, settings }))),
    );
    test.each(all)(
      "with $rc on the $path path, $asked in flight asked for",
      async ({ settings, path, asked }) => {
        const report = await expectVpxencFile(input, settings, "--path", path, "--in-flight", `${asked}`);
        // The window of 8 MiB holds two frames of 3 MB and their packets.
        const inFlight = path === "window" ? Math.min(asked, 2) : asked;
        expect(report).toMatchObject({ path, inFlight });
      },
    );
  });

  test("from NV12", async () => {
    const path = people353("people.nv12.yuv", "-pix_fmt", "nv12", "-f", "rawvideo");
    const input = {
      ...people,
      path,
      ours: [...people.ours, "--format", "nv12"],
      theirs: ["--nv12", ...people.theirs.slice(1)],
    };
    await expectVpxencFile(input, { bitrate: 300 });
  });

  test("from YV12 and NV21, which are converted here, and from a y4m of luma alone", async () => {
    const raw = (format: string, path: string, theirs: string) =>
      expectVpxencFile(
        {
          ...people,
          path,
          ours: [...people.ours, "--format", format],
          theirs: [theirs, ...people.theirs.slice(1)],
        },
        { bitrate: 300 },
      );
    const planes = ["-vf", "shuffleplanes=0:2:1", "-pix_fmt", "yuv420p", "-f", "rawvideo"];
    const yv12 = await raw("yv12", people353("people.yv12", ...planes), "--yv12");
    expect(yv12.settings).toMatchObject({ format: "i420", convertedFrom: "yv12" });
    // vpxenc reads no NV21: it is given the same pictures as I420.
    const path = people353("people.nv21", "-pix_fmt", "nv21", "-f", "rawvideo");
    const output = folder.file("nv21.ivf");
    const nv21 = await encodeJson(
      ...[path, ...people.ours, "--format", "nv21", ...ourOptions({ bitrate: 300 }), "-o", output],
    );
    expect(nv21.settings).toMatchObject({ format: "nv12", convertedFrom: "nv21" });
    expect(readFileSync(output).equals(vpxenc(people, { bitrate: 300 }))).toBe(true);

    const grey = "scale=in_range=tv:out_range=tv,format=gray";
    const mono = y4m(people353("mono.y4m", "-vf", grey, "-strict", "-1"), CLIP_FRAMES);
    expect(readFileSync(mono.path).subarray(0, 100).toString()).toContain(" Cmono");
    const { settings } = await expectVpxencFile(mono, { bitrate: 300 });
    expect(settings).toMatchObject({ format: "i420", convertedFrom: "mono" });
  });

  test.each(["353x289", "1x1"])("at %s, from y4m, raw I420 and raw NV12", async (size) => {
    const [width, height] = size.split("x");
    const scaled = ["-vf", `scale=${size.replace("x", ":")}`];
    const shape = ["-w", width!, "-h", height!, "--fps=12/1"];
    const ours = ["--size", size, "--fps", "12"];
    const path = people353(`${size}.y4m`, ...scaled);
    await expectVpxencFile(y4m(path, CLIP_FRAMES), { bitrate: 400 });
    const i420 = people353(`${size}.yuv`, ...scaled, "-f", "rawvideo");
    await expectVpxencFile(
      { path: i420, frames: CLIP_FRAMES, ours, theirs: ["--i420", ...shape] },
      { bitrate: 400 },
    );
    const nv12 = people353(`${size}.nv12`, ...scaled, "-pix_fmt", "nv12", "-f", "rawvideo");
    await expectVpxencFile(
      { path: nv12, frames: CLIP_FRAMES, ours: [...ours, "--format", "nv12"], theirs: ["--nv12", ...shape] },
      { bitrate: 400 },
      "--path",
      "window",
    );
  });

  test("at 29.97 frames a second, from y4m and from raw video", async () => {
    const path = people353("ntsc.y4m", "-vf", "setpts=N*1001/30000/TB", "-r", "30000/1001");
    await expectVpxencFile(y4m(path, CLIP_FRAMES), { rc: "vbr", bitrate: 400 });
    const raw = {
      ...people,
      ours: ["--size", "320x192", "--fps", "30000/1001"],
      theirs: [...people.theirs.slice(0, -1), "--fps=30000/1001"],
    };
    await expectVpxencFile(raw, { bitrate: 400 });
  });

  test.each<[string, Settings]>([
    ["--speed 5", { bitrate: 300, speed: 5 }],
    ["--speed -6", { bitrate: 300, speed: -6 }],
    ["--gop 4", { rc: "vbr", bitrate: 300, gop: 4 }],
    ["--gop 0", { bitrate: 300, gop: 0 }],
    ["--frames 5", { bitrate: 300, frames: 5 }],
    ["--threads 2", { bitrate: 300, threads: 2 }],
    ["no bitrate and no level", { rc: "cq" }],
  ])("with %s", async (_, settings) => {
    await expectVpxencFile(people, settings);
  });
});

test("WebM and IVF hold the same pictures for vpxdec and ffmpeg, at the right times", async () => {
  const path = people353("ntsc-again.y4m", "-vf", "setpts=N*1001/30000/TB", "-r", "30000/1001");
  const [ivf, webm] = [folder.file("same.ivf"), folder.file("same.webm")];
  await encodeJson(path, "-o", ivf);
  await encodeJson(path, "-o", webm);
  expect(decodedMd5(webm)).toBe(decodedMd5(ivf));
  const pictures = (file: string) =>
    run("ffmpeg", "-v", "error", "-i", file, "-fps_mode", "passthrough", "-f", "framemd5", "-")
      .toString()
      .split("\n")
      .filter((line) => /^\d/.test(line))
      .map((line) => line.split(",").at(-1));
  expect(pictures(ivf)).toHaveLength(CLIP_FRAMES);
  expect(pictures(webm)).toEqual(pictures(ivf));
  const times = Array.from({ length: CLIP_FRAMES }, (_, index) => (index * 1001) / 30000);
  for (const [index, time] of packetTimes(ivf).entries()) expect(time).toBeCloseTo(times[index]!, 5);
  // WebM counts in milliseconds.
  for (const [index, time] of packetTimes(webm).entries()) expect(time).toBeCloseTo(times[index]!, 2.7);
  expect(packetTimes(ivf)).toHaveLength(CLIP_FRAMES);
  expect(packetTimes(webm)).toHaveLength(CLIP_FRAMES);
});

test.each(["dma", "window"])(
  "with --codec libav.js on the %s path the pictures are the source's",
  async (transfer) => {
    const output = folder.file("libav.ivf");
    const report = await encodeJson(
      CLIP,
      ...people.ours,
      "--codec",
      "libav.js",
      "--bitrate",
      "600",
      "--path",
      transfer,
      "-o",
      output,
    );
    expect(report).toMatchObject({ frames: CLIP_FRAMES, keyFrames: 1 });
    expect(report.codec).toMatch(/^libav\.js \d+\.\d+\.\d+$/);
    const decoded = run(
      "ffmpeg",
      "-v",
      "error",
      "-i",
      output,
      "-fps_mode",
      "passthrough",
      "-pix_fmt",
      "yuv420p",
      "-f",
      "rawvideo",
      "-",
    );
    const source = readFileSync(CLIP);
    expect(decoded.length).toBe(source.length);
    expect(psnr(decoded, source)).toBeGreaterThan(34);
  },
);
