/** What encode.ts says of a result that will not be what somebody expects, and of input that changes while it is read. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { readIvf } from "../media/read-ivf.ts";
import { readWebm } from "../media/read-webm.ts";
import { CLIP, decodedMd5, packetTimes, run, tempFolder } from "../media/rig.ts";
import { encode, encodeJson, sizeOf, startScript, until } from "./rig.ts";

setDefaultTimeout(120_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

/** Writes a y4m of `count` frames of grey, each a little lighter. */
function y4m(name: string, header: string, count: number): string {
  const [, width = 0, height = 0] = (/W(\d+) H(\d+)/.exec(header) ?? []).map(Number);
  const frame = (index: number) => [
    Buffer.from("FRAME\n"),
    Buffer.alloc((width * height * 3) / 2, 60 + (index % 100)),
  ];
  const path = folder.file(name);
  writeFileSync(
    path,
    Buffer.concat([Buffer.from(`${header}\n`), ...Array.from({ length: count }, (_, i) => frame(i)).flat()]),
  );
  return path;
}

/** What is said on standard error beside the device's line, a line each. */
async function notes(...args: string[]): Promise<string[]> {
  const { exitCode, stderr } = await encode("--device", "model:vp9", ...args);
  expect(exitCode).toBe(0);
  return stderr
    .split("\n")
    .filter(Boolean)
    .map((line) => line.replace(/^(ℹ|\[info\]) /, ""));
}

describe("without a bitrate", () => {
  const large = y4m("large.y4m", "YUV4MPEG2 W1280 H720 F25:1 Ip A1:1 C420jpeg", 2);
  const out = folder.file("rate.webm");
  const small = [CLIP, "--size", "320x192", "--fps", "12", "-o", out];
  const tooLow =
    "without --bitrate the target is libvpx's 256 kbit/s, at which 1280x720 will look bad: set one, such as --bitrate 1600";
  const capped =
    "--rc cq also has a maximum bitrate, which without --bitrate is libvpx's 256 kbit/s: set the maximum, such as --bitrate 3200";

  test("720p is said to look bad, in one line, with what to give; and then nothing is said", async () => {
    expect(await notes(large, "-o", out)).toEqual([tooLow]);
    expect(await notes(large, "-o", out, "--rc", "cbr")).toEqual([tooLow]);
    expect(await notes(large, "-o", out, "--bitrate", "1600")).toEqual([]);
    expect(await notes(large, "-o", out, "--quiet")).toEqual([]);
    expect(await notes(large, "-o", out, "--rc", "q", "--cq-level", "30")).toEqual([]);
    expect(await notes(large, "-o", out, "--lossless", "1")).toEqual([]);
  });

  test("a quality is said to be capped, at any size", async () => {
    expect(await notes(large, "-o", out, "--rc", "cq", "--cq-level", "20")).toEqual([capped]);
    expect(await notes(...small, "--rc", "cq")).toEqual([capped.replace("3200", "512")]);
    expect(await notes(...small, "--rc", "cq", "--bitrate", "512")).toEqual([]);
  });

  test("small video is fine, and so is a codec that has another default", async () => {
    expect(await notes(...small)).toEqual([]);
    expect(await notes(large, "-o", out, "--device", "model:vp9?codec=null")).toEqual([]);
  });

  test("--json has it in its object, and standard error stays silent", async () => {
    const { stdout, stderr } = await encode(large, "-o", out, "--json");
    expect(stderr).toBe("");
    expect(JSON.parse(new TextDecoder().decode(stdout)).notes).toEqual([tooLow]);
    const plain = await encode(...small, "--json");
    expect(JSON.parse(new TextDecoder().decode(plain.stdout))).not.toHaveProperty("notes");
  });

  test("what is suggested for a quality gives that quality", async () => {
    const bytes = async (...more: string[]) => {
      const { stdout } = await encode(...small, "--rc", "cq", "--cq-level", "20", "--json", ...more);
      return JSON.parse(new TextDecoder().decode(stdout)).packetBytes as number;
    };
    expect(await bytes("--bitrate", "512")).toBeGreaterThan(1.3 * (await bytes()));
  });
});

describe("what an output can't hold is said:", () => {
  test("full range, with the command that makes limited range of it", async () => {
    const full = y4m("full.y4m", "YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg XCOLORRANGE=FULL", 3);
    const [webm, ivf] = [folder.file("full.webm"), folder.file("full.ivf")];
    const [said, ...others] = await notes(full, "-o", webm);
    expect(others).toEqual([]);
    expect(said).toMatch(
      /^the video is full range: the WebM says so, but the VP9 in it says limited, as vpxenc's does/,
    );
    expect(await notes(full, "-o", ivf)).toEqual([
      said!.replace("the WebM says so, but", "IVF can't say so, and"),
    ]);
    expect(readWebm(readFileSync(webm)).packets.map(({ data }) => Bun.hash(data))).toEqual(
      readIvf(readFileSync(ivf)).packets.map(({ data }) => Bun.hash(data)),
    );
    const limited = folder.file("limited.y4m");
    const command = /ffmpeg -i .*/.exec(said!)![0].replace("limited.y4m", limited);
    run("bash", "-c", `${command} -v error`);
    expect(await notes(limited, "-o", webm)).toEqual([]);
    // Grey 60 of 0 to 255 is 68 of 16 to 235.
    expect(readFileSync(limited).subarray(-(64 * 48 * 3) / 2)[0]).toBe(Math.round(16 + (62 * 219) / 255));
  });

  test("full range that --range says, of raw video, with the command for it", async () => {
    const size = ["--size", "64x48", "--fps", "25"];
    const [raw, webm] = [folder.file("full.raw"), folder.file("said.webm")];
    for (const format of ["i420", "yv12", "nv21", "uyvy", "mono"]) {
      const luma = 64 * 48;
      const layouts: Record<string, number> = { uyvy: 2 * luma, mono: luma };
      const frame = Buffer.alloc(layouts[format] ?? (luma * 3) / 2, 128);
      if (format === "uyvy") for (let i = 1; i < frame.length; i += 2) frame[i] = 60;
      else frame.fill(60, 0, luma);
      // V, at the end of the frame or before U.
      if (format === "i420") frame.fill(200, (luma * 5) / 4);
      if (format === "yv12") frame.fill(200, luma, (luma * 5) / 4);
      writeFileSync(raw, frame);
      const said = await notes(raw, "--format", format, ...size, "--range", "full", "-o", webm);
      const limited = folder.file("limited-again.y4m");
      const command = /ffmpeg .*/.exec(said.at(-1)!)![0].replace("limited.y4m", limited);
      run("bash", "-c", `${command} -y -v error`);
      const bytes = readFileSync(limited);
      const planes = bytes.subarray(bytes.length - (luma * 3) / 2);
      const isV = format === "i420" || format === "yv12";
      const v = planes.at(-1)!;
      expect([format, planes[0], planes[luma], v > 180]).toEqual([format, 68, 128, isV]);
    }
    expect(readWebm(readFileSync(webm)).numbers).toMatchObject({ Range: [2] });
  });

  test("nothing, if --range says that a y4m is limited, or --pixel-aspect that its pixels are square", async () => {
    const input = y4m("wrong.y4m", "YUV4MPEG2 W64 H48 F25:1 Ip A4:3 C420jpeg XCOLORRANGE=FULL", 2);
    const [webm, ivf] = [folder.file("right.webm"), folder.file("right.ivf")];
    const right = ["--range", "limited", "--pixel-aspect", "1:1"];
    expect(await notes(input, ...right, "-o", ivf)).toEqual([]);
    const { settings } = await encodeJson(input, ...right, "-o", webm);
    expect(settings).toMatchObject({ fullRange: false });
    expect(settings).not.toHaveProperty("pixelAspect");
    const { numbers } = readWebm(readFileSync(webm));
    expect(numbers).toMatchObject({ Range: [1] });
    expect(numbers.DisplayWidth).toBeUndefined();
    const wide = await encodeJson(input, "--pixel-aspect", "16:11", "-o", webm);
    expect(wide.settings).toMatchObject({ fullRange: true, pixelAspect: { num: 16, den: 11 } });
    expect(readWebm(readFileSync(webm)).numbers).toMatchObject({ DisplayWidth: [93], DisplayHeight: [48] });
  });

  test("the pixel aspect, of which a WebM makes the size to show", async () => {
    const wide = y4m("wide.y4m", "YUV4MPEG2 W64 H64 F25:1 Ip A16:9 C420jpeg", 3);
    const [webm, ivf] = [folder.file("wide.webm"), folder.file("wide.ivf")];
    expect(await notes(wide, "-o", ivf)).toEqual([
      "IVF can't store the pixel aspect 16:9: it will be shown as 64x64, not 114x64. A .webm keeps it",
    ]);
    expect(await notes(wide, "-o", webm)).toEqual([]);
    expect(readWebm(readFileSync(webm)).numbers).toMatchObject({ DisplayWidth: [114], DisplayHeight: [64] });
  });
});

describe("what the file's name says of raw video is used and said:", () => {
  const out = folder.file("guessed.ivf");
  const raw = (name: string, bytes: number) => {
    writeFileSync(folder.file(name), Buffer.alloc(bytes, 100));
    return folder.file(name);
  };
  const said = "guessed from the file's name, which its length confirms:";

  test("its size, rate and format, each unless it is given", async () => {
    const file = raw("a_64x48_50fps_nv12.yuv", 3 * 64 * 48 * 1.5);
    expect(await notes(file, "-o", out)).toEqual([`${said} --size 64x48 --fps 50 --format nv12`]);
    const { frames, settings, notes: inJson } = await encodeJson(file, "-o", out, "--fps", "25");
    expect({ frames, inJson }).toEqual({ frames: 3, inJson: [`${said} --size 64x48 --format nv12`] });
    expect(settings).toMatchObject({
      ...{ width: 64, height: 48, format: "nv12", fps: { num: 25, den: 1 }, guessed: ["size", "format"] },
    });
    const all = await encodeJson(file, "-o", out, ..."--size 64x48 --fps 25 --format i420".split(" "));
    expect(all).not.toHaveProperty("notes");
    expect(all.settings).not.toHaveProperty("guessed");
  });

  test("what it says twice is not, with words", async () => {
    const rates = raw("a_64x48_24fps_29.97fps.yuv", 64 * 48 * 1.5);
    expect(await notes(rates, "-o", out)).toEqual([
      `${said} --size 64x48`,
      "the file's name has the rates 24 and 29.97, so none is used",
    ]);
    const sizes = raw("a_64x48_32x96.yuv", 64 * 48 * 1.5);
    const { exitCode, stderr } = await encode(sizes, "-o", out);
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(
      /The file's name has the sizes 64x48 and 32x96, so none is used\. Describe it: --size WxH/,
    );
  });

  test("what the length does not confirm is not, with words", async () => {
    const { exitCode, stderr } = await encode(raw("b_64x48.yuv", 5000), "-o", out);
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/says 64x48 i420, but its 5000 bytes are not a whole number of such frames/);
  });
});

describe("what is lost on the way in is said:", () => {
  const small = ["--size", "64x48", "--fps", "25", "-o", folder.file("lost.ivf")];
  const raw = folder.file("lost.raw");
  writeFileSync(raw, Buffer.alloc(64 * 48 * 6, 100)); // 3 frames of 4:2:2, 4 of 4:2:0, or 6 of luma

  test.each(["yuyv", "uyvy"])("half of the chroma, of %s", async (format) => {
    const said = `${format} is 4:2:2, and only 4:2:0 can be encoded: each two rows of chroma become one, their mean`;
    expect(await notes(raw, "--format", format, ...small)).toEqual([said]);
    const report = await encodeJson(raw, "--format", format, ...small);
    expect(report).toMatchObject({
      frames: 3,
      settings: { format: "i420", convertedFrom: format },
      notes: [said],
    });
  });

  test("nothing, of the other formats", async () => {
    for (const [format, frames] of [
      ["yv12", 4],
      ["nv21", 4],
      ["mono", 6],
    ] as const) {
      expect(await notes(raw, "--format", format, ...small)).toEqual([]);
      const { settings, frames: encoded } = await encodeJson(raw, "--format", format, ...small);
      expect([encoded, settings]).toMatchObject([frames, { convertedFrom: format }]);
    }
  });
});

test("each key frame of a WebM is in its index, as in vpxenc's, with --gop 12 at 25 frames a second", async () => {
  const input = y4m("gop.y4m", "YUV4MPEG2 W16 H16 F25:1 Ip A1:1 C420jpeg", 125);
  const [ours, theirs] = [folder.file("gop.webm"), folder.file("theirs.webm")];
  await notes(input, "--gop", "12", "-o", ours);
  run(..."vpxenc --rt --lag-in-frames=0 --kf-max-dist=12 --cpu-used=8 --quiet -o".split(" "), theirs, input);
  const { CueTime } = readWebm(readFileSync(ours)).numbers;
  expect(CueTime).toEqual(Array.from({ length: 11 }, (_, index) => index * 480));
  expect(readWebm(readFileSync(theirs)).numbers.CueTime).toEqual(CueTime!);
});

describe("a file that another program cuts short at a frame's end while it is encoded", () => {
  const FRAMES = 3000;
  const FRAME = (320 * 192 * 3) / 2;

  /** A large file in which frames are holes: they read as zeros and take no room on the disk. */
  function sparse(path: string, header: string, line: string): void {
    const fd = openSync(path, "w");
    writeSync(fd, header, 0);
    const stride = line.length + FRAME;
    for (let index = 0; line && index < FRAMES; index++) writeSync(fd, line, header.length + index * stride);
    ftruncateSync(fd, header.length + FRAMES * stride);
    closeSync(fd);
  }

  test.each([
    ["raw", "ivf"],
    ["raw", "webm"],
    ["y4m", "ivf"],
  ])("(%s) is exit code 3, and the %s holds what was read", async (kind, ending) => {
    const [input, output] = [folder.file(`cut.${kind}`), folder.file(`cut-${kind}.${ending}`)];
    const [header, line, options] =
      kind === "y4m"
        ? ["YUV4MPEG2 W320 H192 F12:1 Ip A1:1 C420jpeg\n", "FRAME\n", []]
        : ["", "", ["--size", "320x192"]];
    sparse(input, header, line);
    const running = startScript("encode.ts", input, ...options, "-o", output, "--quiet");
    await until(() => sizeOf(output) > 1000, "some packets in the output");
    truncateSync(input, header.length + 20 * (line.length + FRAME));
    const { exitCode, stderr } = await running.ended();
    // A reader that is ahead of the cut may have part of a frame already.
    expect(stderr).toMatch(
      /ends (?:after \d+ frames|inside frame \d+ .* are there)\. It was cut short while it was read: it had \d+ bytes when it was opened and has \d+ now/,
    );
    expect(exitCode).toBe(3);
    const said = Number(/holds the (\d+) frames before that/.exec(stderr)?.[1]);
    expect(said).toBeWithin(20, FRAMES);
    expect(packetTimes(output)).toHaveLength(said);
    expect(decodedMd5(output)).toBeTruthy();
  });
});

describe("a y4m that can't be encoded as what it is is exit code 3, without a device:", () => {
  test.each([
    ["W16 H16 F25:1 It", /the video is interlaced \(It: top field first\)/],
    ["W16 H16 F25:1 C420paldv", /are sited as in PAL DV/],
    ["W16 H16 F25:1 Cmono12", /the video is 12-bit monochrome \(Cmono12\), which VP9 has not/],
    ["W16 H16 F2000000000:66666666", /both must be whole numbers from 1 to 1000000000/],
    ["W16 H16 F29.97:1", /"F29\.97:1" in .* is not a frame rate such as F25:1\. Give it: --fps N\[\/D\]/],
    ["W16 H16 F25:1 C420jpeg\r", /"C420jpeg\\r" in .* names an unknown chroma layout/],
  ])("%j", async (header, message) => {
    const output = folder.file("never.ivf");
    const { exitCode, stderr } = await encode(y4m("refused.y4m", `YUV4MPEG2 ${header}`, 3), "-o", output);
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(3);
    expect(sizeOf(output)).toBe(-1);
  });
});
