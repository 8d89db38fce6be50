import { afterAll, expect, test } from "bun:test";
import { appendFileSync, chmodSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { openFrameSource, type SourceOptions } from "../../src/media/source.ts";
import { MediaError } from "../../src/media/video.ts";
import {
  bash,
  CLIP,
  CLIP_FRAME_BYTES,
  CLIP_FRAMES,
  CLIP_VIDEO,
  failure,
  outcome,
  readAll,
  run,
  tempFolder,
} from "./rig.ts";

const READ = `${import.meta.dir}/read-frames.ts`;
const folder = tempFolder();
const clip = readFileSync(CLIP);
afterAll(() => folder[Symbol.dispose]());

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
    const from = `-v error -y -f lavfi -i testsrc2=size=354x290:rate=30000/1001 -frames:v 3 -pix_fmt yuv420p -vf scale=${size.replace("x", ":")},setsar=1`;
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
      fullRange: false,
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

test("what the user says must make sense and agree with the header", async () => {
  const header = "YUV4MPEG2 W2 H2 F25:1\n";
  expect((await refusal(header, { size: { width: 4, height: 2 } })).message).toContain(
    "header says 2x2, but the size given is 4x2",
  );
  expect((await refusal(header, { format: "nv12" })).message).toContain(
    "header says i420, but the format given is nv12",
  );
  expect((await refusal(header, { fps: { num: 25, den: 0 } })).message).toContain(
    "fps: the frame rate is 25/0",
  );
  const huge = await failure(() => openFrameSource(CLIP, { size: { width: 320, height: 20_000 } }));
  expect(huge.message).toContain("size: the height is 20000");
});

test.each([
  ["raw", {}, {}],
  [
    "raw",
    { range: "full", pixelAspect: { num: 16, den: 11 } },
    { fullRange: true, pixelAspect: { num: 16, den: 11 } },
  ],
  ["raw", { range: "limited", pixelAspect: { num: 7, den: 7 } }, { fullRange: false }],
  ["raw", { colorSpace: "bt709" }, { colorSpace: "bt709" }],
  ["y4m", {}, { fullRange: true, pixelAspect: { num: 4, den: 3 } }],
  ["y4m", { range: "limited" }, { fullRange: false, pixelAspect: { num: 4, den: 3 } }],
  ["y4m", { pixelAspect: { num: 1, den: 1 } }, { fullRange: true }],
  ["y4m", { colorSpace: "bt601" }, { fullRange: true, pixelAspect: { num: 4, den: 3 }, colorSpace: "bt601" }],
] as const)(
  "how %s video is to be shown is what the user says, or else what the file says: %j",
  async (kind, said, look) => {
    const file = y4m("look", kind === "y4m" ? "YUV4MPEG2 W2 H2 F25:1 A4:3 XCOLORRANGE=FULL\n" : "abcdef");
    using source = await openFrameSource(file, {
      size: { width: 2, height: 2 },
      fps: { num: 25, den: 1 },
      ...said,
    });
    const { width, height, format, fps, timebase, ...rest } = source.video;
    expect(rest).toEqual(look);
  },
);

test.each([
  { num: 0, den: 1 },
  { num: 1, den: 0 },
  { num: 1.5, den: 1 },
  { num: 1, den: 1_000_000_000 },
])("a pixel aspect that can't be is a MediaError: %j", async (pixelAspect) => {
  const size = { width: 320, height: 192 };
  expect((await failure(() => openFrameSource(CLIP, { size, pixelAspect }))).message).toContain(
    `pixelAspect: the pixel aspect is ${pixelAspect.num}:${pixelAspect.den}; both must be whole numbers from 1 to 999999999`,
  );
});

test("raw video without a size is refused with what has to be said", async () => {
  const error = await failure(() => openFrameSource(CLIP, {}));
  expect(error).toBeInstanceOf(MediaError);
  expect(error.message).toEndWith("raw video does not say its size. Describe it");
  expect((error as MediaError).missing).toEqual(["size", "fps", "format"]);
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
    expect(error.message).toContain("check its size and format");
  }
  const piped = bash(`cat "$2" | bun "$1" - 320x192`, READ, cut);
  expect(piped.exitCode).toBe(3);
  expect(piped.stderr).toContain("ends inside frame 2 (counted from 0): 77 of its 92160 bytes");
});

test.each(["raw", "y4m"])(
  "a %s file cut at a frame's end while it is read is a MediaError, not an end",
  async (kind) => {
    const file = folder.file(`shrinking.${kind}`);
    const [header, line] = kind === "y4m" ? ["YUV4MPEG2 W2 H2 F25:1\n", "FRAME\n"] : ["", ""];
    writeFileSync(file, header + `${line}abcdef`.repeat(5));
    using source = await openFrameSource(file, { size: { width: 2, height: 2 } });
    const frame = Buffer.alloc(6);
    expect(source.read(frame)).toBe(true);
    truncateSync(file, (header + `${line}abcdef`.repeat(2)).length);
    expect(source.read(frame)).toBe(true);
    for (let again = 0; again < 2; again++) {
      const error = await failure(() => source.read(frame));
      expect(error).toBeInstanceOf(MediaError);
      expect(error.message).toMatch(
        /ends after 2 frames\. It was cut short while it was read: it had \d+ bytes when it was opened and has \d+ now/,
      );
    }
  },
);

test("a file that grows is read as far as it goes, and one that is cut inside a frame says who did it", async () => {
  const file = folder.file("growing.raw");
  const size = { size: { width: 2, height: 2 } };
  writeFileSync(file, "abcdefabcdef");
  const frame = Buffer.alloc(6);
  {
    using source = await openFrameSource(file, size);
    appendFileSync(file, "ghijkl");
    const read = [1, 2, 3, 4].map(() => source.read(frame));
    expect(read).toEqual([true, true, true, false]);
  }
  {
    using source = await openFrameSource(file, size);
    appendFileSync(file, "mno");
    for (let index = 0; index < 3; index++) expect(source.read(frame)).toBe(true);
    expect((await failure(() => source.read(frame))).message).toMatch(
      /ends inside frame 3 .*: 3 of its 6 bytes are there\. It is still being written: it had 18 bytes/,
    );
  }
  using source = await openFrameSource(file, size);
  truncateSync(file, 8);
  expect(source.read(frame)).toBe(true);
  expect((await failure(() => source.read(frame))).message).toMatch(
    /ends inside frame 1 .*: 2 of its 6 bytes are there\. It was cut short while it was read: it had 21 bytes/,
  );
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
