/** What a y4m's header line may say, and what is said of one that can't be used. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { openFrameSource } from "../../src/media/source.ts";
import { frameSizeBytes, MediaError } from "../../src/media/video.ts";
import { bash, failure, readAll, run, tempFolder } from "./rig.ts";

setDefaultTimeout(60_000);

const READ = `${import.meta.dir}/read-frames.ts`;
const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

function y4m(name: string, header: string, ...parts: (string | Uint8Array)[]): string {
  writeFileSync(folder.file(name), Buffer.concat([header, ...parts].map((part) => Buffer.from(part))));
  return folder.file(name);
}

function refusal(header: string): Promise<Error> {
  return failure(() => openFrameSource(y4m("refused.y4m", header, "FRAME\n", new Uint8Array(6)), {}));
}

test("y4m frame lines may carry parameters, and headers may be anamorphic and commented", async () => {
  const header = "YUV4MPEG2 W2 H2 F25:1 Ip A10:11 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=LIMITED\n";
  const file = y4m(
    "parameters.y4m",
    header,
    "FRAME Itff\n",
    "abcdef",
    "FRAME\n",
    "ghijkl",
    "FRAME X Y\n",
    "mnopqr",
  );
  const { frames, error } = await readAll(file);
  expect(frames.map(String)).toEqual(["abcdef", "ghijkl", "mnopqr"]);
  expect(error).toBeUndefined();
});

test.each(["", " C420", " C420jpeg", " C420mpeg2", " XYSCSS=420JPEG"])(
  "8-bit 4:2:0 named%s is taken as i420",
  async (chroma) => {
    using source = await openFrameSource(y4m("420.y4m", `YUV4MPEG2 W2 H2 F25:1${chroma}\n`), {});
    expect(source.video.format).toBe("i420");
  },
);

const INTERLACED = "YUV4MPEG2 W32 H32 F25:1 It A1:1 C420jpeg\n";
const PALDV = "YUV4MPEG2 W64 H64 F25:1 Ip A1:1 C420paldv XYSCSS=420PALDV\n";

/** A frame with its line, whose chroma is a slope in both directions. */
function picture(width: number, height: number): (string | Buffer)[] {
  const bytes = Buffer.alloc((width * height * 3) / 2, 128);
  for (let i = width * height; i < bytes.length; i++)
    bytes[i] = 128 + 100 * Math.sin((i % (width / 2)) / 2) * Math.cos(i / width / 2);
  return ["FRAME\n", bytes];
}

test.each([
  ["It", "It: top field first"],
  ["Ib", "Ib: bottom field first"],
  ["Im", "Im: in some frames"],
])("interlaced video (%s) is refused as vpxenc refuses it", async (tag, found) => {
  const error = await refusal(INTERLACED.replace("It", tag));
  expect(error).toBeInstanceOf(MediaError);
  expect(error.message).toContain(
    `the video is interlaced (${found}), and VP9 is progressive only. Deinterlace it:`,
  );
});

test.each([PALDV, "YUV4MPEG2 W64 H64 F25:1 XYSCSS=420PALDV\n"])(
  "chroma samples in another place than VP9's are refused (%j)",
  async (header) => {
    expect((await refusal(header)).message).toContain("are sited as in PAL DV (C420paldv)");
  },
);

test.each([
  [" A16:9", { num: 16, den: 9 }],
  [" A16:9 A10:11", { num: 10, den: 11 }],
  ["", undefined],
  [" A1:1", undefined],
  [" A8:8", undefined],
  [" A0:0", undefined],
])(
  "the pixel aspect is the header's, where it says one that is not square (%j)",
  async (tag, pixelAspect) => {
    using source = await openFrameSource(y4m("aspect.y4m", `YUV4MPEG2 W2 H2 F25:1${tag}\n`), {});
    expect(source.video.pixelAspect).toEqual(pixelAspect);
  },
);

test.each([
  [" XCOLORRANGE=FULL", true],
  [" XCOLORRANGE=LIMITED", false],
  [" XCOLORRANGE=full", undefined],
  ["", undefined],
])("the range is what the header says (%j)", async (tag, fullRange) => {
  using source = await openFrameSource(y4m("range.y4m", `YUV4MPEG2 W2 H2 F25:1${tag}\n`), {});
  expect(source.video.fullRange).toBe(fullRange);
});

/** What a terminal would act on instead of showing it. */
const CONTROL = /[\p{Cc}\p{Cf}]/u;

test("each tag of a y4m header, broken in turn, is refused in one line of printable text or does not matter", async () => {
  const tags = ["W16", "H16", "F25:1", "Ip", "A1:1", "C420jpeg", "XYSCSS=420JPEG", "XCOLORRANGE=LIMITED"];
  /** What no tag's value ends in; the others may be one. */
  const never = ["\r", "\x1b[2J", "\x9b2J", "-1", "1e3", "x", "'\"$(id)", "\0", ":"];
  const broken = [...never, "", "0", "0:0", "1:0", "9".repeat(400)];
  for (const [index, tag] of tags.entries()) {
    const letter = /^(?:X\w+=|.)/.exec(tag)![0];
    for (const end of broken) {
      for (const word of [letter + end, tag + end]) {
        const line = `YUV4MPEG2 ${tags.with(index, word).join(" ")}\n`;
        const error = await failure(async () => {
          (await openFrameSource(y4m("broken.y4m", line), {}))[Symbol.dispose]();
          throw new MediaError("taken");
        });
        expect(error).toBeInstanceOf(MediaError);
        expect(error.message).not.toMatch(CONTROL);
        expect(error.message.length).toBeLessThan(900);
        if (never.includes(end) && !tag.startsWith("X"))
          expect([word, error.message]).not.toEqual([word, "taken"]);
      }
    }
  }
});

test.each([
  ["C420p8", '"C420p8" in "YUV4MPEG2 W2 H2 F25:1 C420p8" names an unknown chroma layout'],
  ["C420jpeg\r", '"C420jpeg\\r" in "YUV4MPEG2 W2 H2 F25:1 C420jpeg\\r" names an unknown chroma layout'],
  ["Cx\x1b[31m", '"Cx\\u001b[31m"'],
])(
  "a chroma layout that nobody knows is refused as such, and not as one that is taken (%j)",
  async (tag, found) => {
    const { message } = await refusal(`YUV4MPEG2 W2 H2 F25:1 ${tag}\n`);
    expect(message).toContain(found);
    expect(message).not.toContain("can be encoded");
  },
);

test("a name with control characters is shown with them escaped", async () => {
  const name = folder.file("a\x1b[31m\nb\u202ec.y4m");
  writeFileSync(name, "YUV4MPEG2 W2 H2\n");
  const { message } = await failure(() => openFrameSource(name, {}));
  expect(message).toContain("a\\u001b[31m\\nb\\u202ec.y4m");
  expect(message).not.toMatch(CONTROL);
});

test.each([
  ["C420p9", "9-bit 4:2:0"],
  ["C422p14", "14-bit 4:2:2"],
  ["C444p16", "16-bit 4:4:4"],
  ["C444alpha", "8-bit 4:4:4 with alpha"],
  ["C411", "8-bit 4:1:1"],
  ["Cmono10", "10-bit monochrome"],
  ["Cmono16", "16-bit monochrome"],
  ["XYSCSS=411", "8-bit 4:1:1"],
])("other chroma is refused by name, with the command that converts it (%s)", async (chroma, name) => {
  const error = await refusal(`YUV4MPEG2 W2 H2 F25:1 Ip ${chroma}\n`);
  expect(error).toBeInstanceOf(MediaError);
  expect(error.message).toContain(`the video is ${name} `);
  expect(error.message).toMatch(
    /ffmpeg -i ".*refused\.y4m" (-vf scale=in_range=tv:out_range=tv -pix_fmt gray|-pix_fmt yuv420p)/,
  );
});

test.each([
  ["C420p10", "i420p10"],
  ["C422", "i422"],
  ["C422p12", "i422p12"],
  ["C440", "i440"],
  ["C444", "i444"],
  ["XYSCSS=444", "i444"],
] as const)("%s is taken as %s", async (chroma, format) => {
  const bytes = Buffer.alloc(frameSizeBytes({ width: 3, height: 3, format }), 7);
  const file = y4m("taken.y4m", `YUV4MPEG2 W3 H3 F25:1 Ip ${chroma}\n`, "FRAME\n", bytes);
  using source = await openFrameSource(file, {});
  expect(source.video.format).toBe(format);
  expect((await readAll(file)).frames).toEqual([bytes]);
});

/** Runs the command in a refusal's message, and gives the frames of the file that it makes. */
async function convertedAsSaid(refused: string): Promise<Buffer[]> {
  const { message } = await failure(() => openFrameSource(refused, {}));
  const out = folder.file("out.y4m");
  const command = /ffmpeg .*$/.exec(message)![0].replace("out.y4m", `-v error -y "${out}"`);
  expect(bash(command)).toMatchObject({ exitCode: 0, stderr: "" });
  return (await readAll(out)).frames;
}

test("the command that the message gives for 9-bit y4m makes a file that is taken, whatever the file's name", async () => {
  for (const name of ["deep.y4m", '$(deep) `it\'s` "1"!.y4m', "two\nlines.y4m"]) {
    const deep = folder.file(name);
    const test = "ffmpeg -v error -f lavfi -i testsrc=size=32x32 -frames:v 2 -pix_fmt yuv420p9le -strict -1";
    run(...test.split(" "), deep);
    expect(await convertedAsSaid(deep)).toHaveLength(2);
  }
});

test("the command for interlaced video makes progressive video of it", async () => {
  const frames = await convertedAsSaid(y4m("tff.y4m", INTERLACED, ...picture(32, 32), ...picture(32, 32)));
  expect(frames).toHaveLength(2);
});

test("the command for deep monochrome video gives its luma in 8 bits, and no colour", async () => {
  const luma = Buffer.from(Array.from({ length: 32 * 32 }, (_, i) => i % 256));
  const deep = Buffer.from(Uint16Array.from(luma, (value) => 4 * value).buffer);
  const file = y4m("mono.y4m", "YUV4MPEG2 W32 H32 F25:1 Ip A1:1 Cmono10\n", "FRAME\n", deep);
  expect(await convertedAsSaid(file)).toEqual([Buffer.concat([luma, Buffer.alloc(512, 128)])]);
});

test("the command for PAL DV moves chroma samples towards where vpxenc moves them", async () => {
  const file = y4m("paldv.y4m", PALDV, ...picture(64, 64));
  const [frame] = await convertedAsSaid(file);
  run(..."vpxenc --lossless=1 --ivf --quiet -o".split(" "), folder.file("paldv.ivf"), file);
  const theirs = run(..."vpxdec --i420 --rawvideo -o -".split(" "), folder.file("paldv.ivf"));
  const own = readFileSync(file).subarray(-theirs.length);
  const error = (a: Buffer) => a.reduce((sum, value, i) => sum + (value - theirs[i]!) ** 2, 0);
  expect(frame!.length).toBe(theirs.length);
  expect(error(frame!)).toBeLessThan(error(own) / 4);
});

test.each([
  ["YUV4MPEG2 H2 F25:1\n", "no width (W)"],
  ["YUV4MPEG2 W2 F25:1\n", "no height (H)"],
  ["YUV4MPEG2 W0 H2 F25:1\n", "the width is 0"],
  ["YUV4MPEG2 W-2 H2 F25:1\n", "the width is -2"],
  ["YUV4MPEG2 W2 H2.5 F25:1\n", "the height is 2.5"],
  ["YUV4MPEG2 W2 H16385 F25:1\n", "the height is 16385"],
  ["YUV4MPEG2 W99999999999999999999 H2 F25:1\n", "must be a whole number from 1 to 16384"],
  ["YUV4MPEG2 W2 H2 F25:0\n", '"F25:0"'],
  ["YUV4MPEG2 W2 H2 F0:1\n", '"F0:1"'],
  ["YUV4MPEG2 W2 H2 F-25:1\n", '"F-25:1"'],
  ["YUV4MPEG2 W2 H2 F25\n", '"F25"'],
  ["YUV4MPEG2 W2 H2 F9999999999:1\n", '"F9999999999:1"'],
  ["YUV4MPEG2 W2 H2 F25:1\r\n", '"F25:1\\r" in "YUV4MPEG2 W2 H2 F25:1\\r" is not a frame rate'],
  ["YUV4MPEG2 W2 H2 F29.97:1\n", '"F29.97:1" in'],
  ["YUV4MPEG2 W2 H2 F2000000000:66666666\n", "both must be whole numbers from 1 to 1000000000"],
  ["YUV4MPEG2 W2 H2 F1000000000:1\n", "a frame can last from a microsecond to a million seconds"],
  ["YUV4MPEG2 W2 H2 F1:1000000000\n", "a frame can last from a microsecond to a million seconds"],
  ["YUV4MPEG2 W2 H2 F25:1 A16\n", '"A16" in'],
  ["YUV4MPEG2 W2 H2 F25:1 A16:9.5\n", "is not a pixel aspect"],
  ["YUV4MPEG2 W2 H2 F25:1 Iq\n", "is not one of Ip (progressive)"],
  ["YUV4MPEG2 W2 H2 F0:0\n", "Give it"],
  ["YUV4MPEG2 W2 H2\n", "Give it"],
  [`YUV4MPEG2 W2 H2 F25:1 X${"x".repeat(5000)}\n`, "no newline in its first 4096 bytes"],
])("a header that lies or lacks something is a MediaError: %j", async (header, found) => {
  const error = await refusal(header);
  expect(error).toBeInstanceOf(MediaError);
  expect(error.message).toContain(found);
});

test("a header that never ends is a MediaError, from a file and from a pipe", async () => {
  writeFileSync(folder.file("endless.y4m"), `YUV4MPEG2 W2 H2${" X".repeat(10)}`);
  const error = await failure(() => openFrameSource(folder.file("endless.y4m"), {}));
  expect(error.message).toContain("no newline in its first 35 bytes");
  const piped = bash(`{ printf 'YUV4MPEG2 '; cat /dev/zero; } | bun "$1" -`, READ);
  expect(piped.stderr).toContain("no newline in its first 4096 bytes");
});

test("a rate that was given overrides the header's rate, also where that is unknown or wrong", async () => {
  for (const rate of ["F25:1", "F0:0", "X", "F25:1\r", "F29.97:1", "F25", "F0:1", "F2000000000:66666666"]) {
    using source = await openFrameSource(y4m("rate.y4m", `YUV4MPEG2 W2 H2 ${rate}\n`), {
      fps: { num: 60, den: 1 },
    });
    expect(source.video.fps).toEqual({ num: 60, den: 1 });
  }
});
