import { afterAll, expect, test } from "bun:test";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { openFrameSource, type SourceOptions } from "../../src/media/source.ts";
import { frameSizeBytes, MediaError } from "../../src/media/video.ts";
import {
  bash,
  CLIP,
  CLIP_FRAME_BYTES,
  CLIP_FRAMES,
  CLIP_VIDEO,
  failure,
  outcome,
  run,
  tempFolder,
} from "./rig.ts";

const READ = `${import.meta.dir}/read-frames.ts`;
const folder = tempFolder();
const clip = readFileSync(CLIP);
afterAll(() => folder[Symbol.dispose]());

/** All frames, and the error at the end if there was one. */
async function readAll(
  input: string,
  options: SourceOptions = {},
): Promise<{ frames: Buffer[]; error?: Error }> {
  using source = await openFrameSource(input, options);
  const frames: Buffer[] = [];
  for (;;) {
    const frame = Buffer.alloc(frameSizeBytes(source.video));
    try {
      if (!(await source.read(frame))) return { frames };
    } catch (error) {
      return { frames, error: error as Error };
    }
    frames.push(frame);
  }
}

function y4m(name: string, header: string, ...parts: (string | Uint8Array)[]): string {
  writeFileSync(folder.file(name), Buffer.concat([header, ...parts].map((part) => Buffer.from(part))));
  return folder.file(name);
}

function refusal(header: string, options: SourceOptions = {}): Promise<Error> {
  return failure(() => openFrameSource(y4m("refused.y4m", header, "FRAME\n", new Uint8Array(6)), options));
}

function md5s(bytes: Buffer, frameBytes: number): string[] {
  return Array.from({ length: bytes.length / frameBytes }, (_, i) =>
    new Bun.CryptoHasher("md5").update(bytes.subarray(i * frameBytes, (i + 1) * frameBytes)).digest("hex"),
  );
}

test("raw video is read frame by frame, synchronously, straight into the caller's memory", async () => {
  const { width, height } = CLIP_VIDEO;
  using source = await openFrameSource(CLIP, { size: { width, height }, fps: { num: 12, den: 1 } });
  expect(source).toMatchObject({ name: `"${CLIP}"`, video: CLIP_VIDEO, frameCount: CLIP_FRAMES });
  const memory = Buffer.alloc(CLIP_FRAME_BYTES + 20, 0xee);
  for (let i = 0; i < CLIP_FRAMES; i++) {
    expect(source.read(memory.subarray(10, -10))).toBe(true);
    const expected = clip.subarray(i * CLIP_FRAME_BYTES, (i + 1) * CLIP_FRAME_BYTES);
    expect(memory.subarray(10, -10).equals(expected)).toBe(true);
  }
  expect(source.read(memory.subarray(10, -10))).toBe(false);
  expect(source.read(memory.subarray(10, -10))).toBe(false);
  for (const edge of [memory.subarray(0, 10), memory.subarray(-10)])
    expect(edge.every((b) => b === 0xee)).toBe(true);
});

test("raw video is i420 at 30 frames a second unless it is said otherwise", async () => {
  const size = { width: 320, height: 192 };
  using plain = await openFrameSource(CLIP, { size });
  expect(plain.video).toEqual({
    ...size,
    format: "i420",
    fps: { num: 30, den: 1 },
    timebase: { num: 1, den: 30 },
  });
  using nv12 = await openFrameSource(CLIP, { size, format: "nv12", fps: { num: 30_000, den: 1001 } });
  expect(nv12.video).toEqual({
    ...size,
    format: "nv12",
    fps: { num: 30_000, den: 1001 },
    timebase: { num: 1, den: 1000 },
  });
});

test.each(["1x1", "353x289", "320x192"])(
  "ffmpeg's y4m of %s has the frames of its raw video",
  async (size) => {
    const [raw, wrapped] = [folder.file("size.yuv"), folder.file("size.y4m")];
    const from = `-v error -y -f lavfi -i testsrc2=size=354x290:rate=30000/1001 -frames:v 3 -pix_fmt yuv420p -vf scale=${size.replace("x", ":")}`;
    run("ffmpeg", ...from.split(" "), "-f", "rawvideo", raw);
    run("ffmpeg", ...from.split(" "), "-f", "yuv4mpegpipe", wrapped);
    const [width = 0, height = 0] = size.split("x").map(Number);
    using source = await openFrameSource(wrapped, {});
    expect(source.video).toEqual({
      width,
      height,
      format: "i420",
      fps: { num: 30_000, den: 1001 },
      timebase: { num: 1001, den: 30_000 },
    });
    expect(source.frameCount).toBe(3);
    const { frames } = await readAll(wrapped);
    expect(Buffer.concat(frames).equals(readFileSync(raw))).toBe(true);
  },
);

test("a pipe gives the same frames as the file, y4m and raw, however it is cut into pieces", () => {
  const expected = md5s(clip, CLIP_FRAME_BYTES);
  const wrapped = folder.file("clip.y4m");
  run(
    ..."ffmpeg -v error -y -f rawvideo -video_size 320x192 -framerate 12 -pix_fmt yuv420p -i".split(" "),
    CLIP,
    wrapped,
  );
  const pieces = (file: string) =>
    `{ head -c 3; sleep 0.02; head -c 70; sleep 0.02; head -c 92157; sleep 0.02; cat; } < ${file}`;
  for (const [line, size] of [
    [pieces(wrapped), ""],
    [pieces(CLIP), "320x192"],
    [`cat ${CLIP}`, "320x192"],
  ] as const) {
    for (const how of ["", "NONBLOCKING=1"]) {
      const { exitCode, stdout, stderr } = bash(`${line} | ${how} bun "$1" - ${size}`, READ);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
      expect(JSON.parse(stdout.toString())).toMatchObject({
        name: "standard input",
        frameCount: null,
        md5s: expected,
      });
    }
  }
});

test("a file as standard input is read from where it stands, and its frames are counted", () => {
  const { exitCode, stdout } = bash(
    `{ dd bs=${2 * CLIP_FRAME_BYTES} count=1 of=/dev/null status=none; bun "$1" - 320x192; } < "$2"`,
    READ,
    CLIP,
  );
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout.toString())).toMatchObject({
    name: "standard input",
    frameCount: CLIP_FRAMES - 2,
    md5s: md5s(clip, CLIP_FRAME_BYTES).slice(2),
  });
});

test("while a pipe has nothing, opening and reading it leave the process free for other work", async () => {
  const fifo = folder.file("slow");
  run("mkfifo", fifo);
  const opening = openFrameSource(fifo, { size: { width: 320, height: 192 } });
  // The other end only starts, and only goes on, when this process gets to it: a blocking call would wait for ever.
  const line = `{ head -c 1000; read -r go <&3; cat; } < "${CLIP}" > "${fifo}"`;
  await using writer = Bun.spawn(["bash", "-c", `exec 3<&0; ${line}`], { stdin: "pipe", stderr: "ignore" });
  using source = await opening;
  const frame = Buffer.alloc(CLIP_FRAME_BYTES);
  const reading = source.read(frame);
  expect(reading).toBeInstanceOf(Promise);
  await Bun.sleep(1);
  writer.stdin.write("go\n");
  writer.stdin.flush();
  expect(await reading).toBe(true);
  expect(frame.equals(clip.subarray(0, CLIP_FRAME_BYTES))).toBe(true);
});

test("disposing twice is harmless, also while a pipe is being read, and reading then is an error", async () => {
  const file = await openFrameSource(CLIP, { size: { width: 320, height: 192 } });
  file[Symbol.dispose]();
  file[Symbol.dispose]();
  const frame = Buffer.alloc(CLIP_FRAME_BYTES);
  expect((await failure(() => file.read(frame))).message).toContain("is closed");

  const fifo = folder.file("disposed");
  run("mkfifo", fifo);
  await using writer = Bun.spawn(
    ["bash", "-c", `exec > "$0"; head -c 1000 /dev/zero; read -r go; echo`, fifo],
    {
      stdin: "pipe",
      stderr: "ignore",
    },
  );
  const pipe = await openFrameSource(fifo, { size: { width: 320, height: 192 } });
  const reading = failure(() => pipe.read(frame));
  await Bun.sleep(1);
  pipe[Symbol.dispose]();
  pipe[Symbol.dispose]();
  writer.stdin.write("go\n");
  writer.stdin.flush();
  expect((await reading).message).toContain("was closed while it was being read");
});

test("y4m frame lines may carry parameters, and headers may be interlaced, anamorphic and commented", async () => {
  const header = "YUV4MPEG2 W2 H2 F25:1 Ib A10:11 C420paldv XYSCSS=420PALDV XCOLORRANGE=LIMITED\n";
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

test.each(["", " C420", " C420jpeg", " C420mpeg2", " C420paldv", " XYSCSS=420JPEG"])(
  "8-bit 4:2:0 named%s is taken as i420",
  async (chroma) => {
    using source = await openFrameSource(y4m("420.y4m", `YUV4MPEG2 W2 H2 F25:1${chroma}\n`), {});
    expect(source.video.format).toBe("i420");
  },
);

test.each([
  ["C420p10", "10-bit 4:2:0"],
  ["C422", "8-bit 4:2:2"],
  ["C422p12", "12-bit 4:2:2"],
  ["C444", "8-bit 4:4:4"],
  ["C444alpha", "8-bit 4:4:4 with alpha"],
  ["C411", "8-bit 4:1:1"],
  ["Cmono", "8-bit monochrome"],
  ["Cmono16", "16-bit monochrome"],
  ["XYSCSS=444", "8-bit 4:4:4"],
])("other chroma is refused by name, with the command that converts it (%s)", async (chroma, name) => {
  const error = await refusal(`YUV4MPEG2 W2 H2 F25:1 Ip ${chroma}\n`);
  expect(error).toBeInstanceOf(MediaError);
  expect(error.message).toContain(`the video is ${name} `);
  expect(error.message).toContain(`ffmpeg -i "${folder.file("refused.y4m")}" -pix_fmt yuv420p`);
});

test("the command that the message gives for 10-bit y4m makes a file that is taken", async () => {
  const deep = folder.file("deep.y4m");
  run(
    ..."ffmpeg -v error -f lavfi -i testsrc=size=32x32 -frames:v 2 -pix_fmt yuv420p10le -strict -1".split(
      " ",
    ),
    deep,
  );
  const { message } = await failure(() => openFrameSource(deep, {}));
  const command = /ffmpeg .*$/.exec(message)![0].replace("out.y4m", `"${folder.file("out.y4m")}"`);
  expect(bash(command).exitCode).toBe(0);
  expect((await readAll(folder.file("out.y4m"))).frames.length).toBe(2);
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
  ["YUV4MPEG2 W2 H2 F0:0\n", "Give --fps N[/D]"],
  ["YUV4MPEG2 W2 H2\n", "Give --fps N[/D]"],
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

test("--fps overrides the header's rate, also where that is unknown or wrong", async () => {
  for (const rate of ["F25:1", "F0:0", "X"]) {
    using source = await openFrameSource(y4m("rate.y4m", `YUV4MPEG2 W2 H2 ${rate}\n`), {
      fps: { num: 60, den: 1 },
    });
    expect(source.video.fps).toEqual({ num: 60, den: 1 });
  }
});

test("what the user says must make sense and agree with the header", async () => {
  const header = "YUV4MPEG2 W2 H2 F25:1\n";
  expect((await refusal(header, { size: { width: 4, height: 2 } })).message).toContain(
    "header says 2x2, --size says 4x2",
  );
  expect((await refusal(header, { format: "nv12" })).message).toContain("always i420");
  expect((await refusal(header, { fps: { num: 25, den: 0 } })).message).toContain(
    "--fps: the frame rate is 25/0",
  );
  const huge = await failure(() => openFrameSource(CLIP, { size: { width: 320, height: 20_000 } }));
  expect(huge.message).toContain("--size: the height is 20000");
});

test("raw video without a size is refused with the flags that say it", async () => {
  const error = await failure(() => openFrameSource(CLIP, {}));
  expect(error).toBeInstanceOf(MediaError);
  expect(error.message).toContain("--size WxH --fps N[/D] --format i420|nv12");
});

test("a y4m whose header's size does not fit the data is a MediaError with the frame and the byte", async () => {
  const file = y4m(
    "misfit.y4m",
    "YUV4MPEG2 W2 H2 F25:1\n",
    "FRAME\n",
    "abcdef",
    "FRAME\n",
    "ghijklXX",
    "FRAME\n",
  );
  const { frames, error } = await readAll(file);
  expect(frames.length).toBe(2);
  expect(error).toBeInstanceOf(MediaError);
  expect(error!.message).toContain('frame 2 (counted from 0) should begin with "FRAME" at byte 46');
  expect(error!.message).toContain("The header's size 2x2 does not fit the data");
});

test.each(["F", "FRAME", "FRAME\n", "FRAME\nabc", "FRAME X", "FRAME X\n", "FRAME X\nabcde"])(
  "a y4m cut short after %j gives the whole frames, then a MediaError that names the frame",
  async (tail) => {
    const { frames, error } = await readAll(
      y4m("cut.y4m", "YUV4MPEG2 W2 H2 F25:1\n", "FRAME\n", "abcdef", tail),
    );
    expect(frames.map(String)).toEqual(["abcdef"]);
    expect(error).toBeInstanceOf(MediaError);
    expect(error!.message).toContain("ends inside frame 1 (counted from 0)");
  },
);

test("raw video that isn't a multiple of the frame size gives the whole frames, then a MediaError, again and again", async () => {
  const cut = folder.file("cut.yuv");
  writeFileSync(cut, clip.subarray(0, 2 * CLIP_FRAME_BYTES + 77));
  using source = await openFrameSource(cut, { size: { width: 320, height: 192 } });
  const frame = Buffer.alloc(CLIP_FRAME_BYTES);
  expect([source.frameCount, source.read(frame), source.read(frame)]).toEqual([2, true, true]);
  for (let again = 0; again < 2; again++) {
    const error = await failure(() => source.read(frame));
    expect(error).toBeInstanceOf(MediaError);
    expect(error.message).toContain("ends inside frame 2 (counted from 0): 77 of its 92160 bytes");
    expect(error.message).toContain("check --size");
  }
  const piped = bash(`cat "$2" | bun "$1" - 320x192`, READ, cut);
  expect(piped.exitCode).toBe(3);
  expect(piped.stderr).toContain("ends inside frame 2 (counted from 0): 77 of its 92160 bytes");
});

test("empty input is a MediaError that says so", async () => {
  writeFileSync(folder.file("empty"), "");
  const size = { width: 2, height: 2 };
  for (const empty of [folder.file("empty"), "/dev/null"])
    expect((await failure(() => openFrameSource(empty, { size }))).message).toContain(`"${empty}" is empty`);
  expect(bash(`bun "$1" - 2x2 < /dev/null`, READ).stderr).toContain("standard input is empty");
});

test("a y4m with a header and no frame is read as no frame", async () => {
  expect(await readAll(y4m("none.y4m", "YUV4MPEG2 W2 H2 F25:1\n"))).toEqual({ frames: [] });
});

test("a missing file, a folder and a path through a file are MediaErrors that name the errno", async () => {
  for (const [input, code] of [
    [folder.file("nowhere"), "ENOENT"],
    [folder.file("."), "EISDIR"],
    [`${CLIP}/a`, "ENOTDIR"],
  ] as const) {
    const error = await failure(() => openFrameSource(input, {}));
    expect(error).toMatchObject({ name: "MediaError", code });
    expect(error.message).toStartWith(`cannot open "${input}" for reading: ${code}: `);
  }
});

test("a file without permission is a MediaError that names EACCES", () => {
  const secret = folder.file("secret");
  writeFileSync(secret, "secret");
  chmodSync(secret, 0);
  const asNobody = process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--clear-groups"] : [];
  const { exitCode, stderr } = outcome([...asNobody, process.execPath, READ, secret, "2x2"]);
  expect({ exitCode, ...JSON.parse(stderr) }).toMatchObject({ exitCode: 3, code: "EACCES" });
});

test("memory of another size than a frame is refused", async () => {
  using source = await openFrameSource(CLIP, { size: { width: 320, height: 192 } });
  expect((await failure(() => source.read(new Uint8Array(5)))).message).toContain(
    "is 92160 bytes; 5 were given",
  );
});
