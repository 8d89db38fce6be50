/** encode.ts as a command: what it reads and writes, says, and answers when something is wrong. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readIvf } from "../media/read-ivf.ts";
import {
  CLIP,
  CLIP_FRAME_BYTES,
  CLIP_FRAMES,
  decodableFrames,
  decodedMd5,
  run,
  tempFolder,
} from "../media/rig.ts";
import { type Ended, encode, encodeJson, ROOT, shell, sizeOf, start, startScript, until } from "./rig.ts";

setDefaultTimeout(60_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

const RAW = ["--size", "320x192", "--fps", "12"];
const clip = readFileSync(CLIP);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const packetsOf = (bytes: Uint8Array) => readIvf(bytes).packets.map(({ data }) => Bun.hash(data));
let outputs = 0;
const output = (ending = "ivf") => folder.file(`out-${outputs++}.${ending}`);

/** The clip as y4m or another kind of it, by ffmpeg. */
function converted(name: string, ...options: string[]): string {
  const path = folder.file(name);
  run(
    "ffmpeg",
    "-v",
    "error",
    "-f",
    "rawvideo",
    "-pix_fmt",
    "yuv420p",
    "-s",
    "320x192",
    "-r",
    "12",
    "-i",
    CLIP,
    ...options,
    path,
  );
  return path;
}
const y4m = converted("clip.y4m");
const y4mPackets = await (async () => {
  const file = output();
  await encodeJson(y4m, "-o", file);
  return packetsOf(readFileSync(file));
})();

/** A run that failed: nothing on standard output, and the error with its exit code. */
function expectFailure({ exitCode, stdout, stderr }: Ended, code: number, message: RegExp): void {
  expect(text(stdout)).toBe("");
  expect(stderr).toMatch(message);
  expect(stderr).not.toContain("    at "); // no stack
  expect(exitCode).toBe(code);
}

describe("input", () => {
  test("paths are meant from the folder in which bun run was typed", async () => {
    const inside = Bun.spawn(
      [
        "bun",
        "run",
        "encode.ts",
        "CiscoVT2people_320x192_12fps.yuv",
        "--size=320x192",
        "-o",
        folder.file("here.ivf"),
        "--quiet",
      ],
      {
        cwd: join(ROOT, "test/media"),
        env: {
          ...process.env,
          PATH: `${join(ROOT, "node_modules/.bin")}:${process.env.PATH}`,
          NODE_ENV: undefined,
        },
        stdio: ["ignore", "inherit", "inherit"],
      },
    );
    expect(await inside.exited).toBe(0);
    expect(existsSync(folder.file("here.ivf"))).toBe(true);
  });

  test("is a built-in clip when none is named, and the device used is said in one line", async () => {
    const file = output("webm");
    const { exitCode, stdout, stderr } = await encode("-o", file);
    expect(exitCode).toBe(0);
    expect(text(stdout)).toMatch(/^50 frames \(1 key\), \d+ bytes, [\d.]+ s \([\d.]+ fps\) -> .*\.webm\n$/);
    expect(stderr).toMatch(/^\S* ?no card found; using the software model \(libvpx [\d.]+\)\n$/);
    expect(decodableFrames(file)).toBe(50);
  });

  test("comes through a pipe, however slowly", async () => {
    const file = output();
    const { exitCode } = await shell('bun run encode.ts - -o "$2" < <(cat "$1")', y4m, file);
    expect(exitCode).toBe(0);
    expect(packetsOf(readFileSync(file))).toEqual(y4mPackets);

    const slow = output();
    const pieces = [
      [1, 3],
      [4, 60],
      [64, 100_000],
      [100_064, 300_000],
      [400_064, 1_000_000],
    ];
    const script = pieces
      .map(([from, count]) => `tail -c +${from} "$1" | head -c ${count}; sleep 0.15`)
      .join("; ");
    const ended = await shell(`(set +o pipefail; ${script}) | bun run encode.ts - -o "$2"`, y4m, slow);
    expect(ended.exitCode).toBe(0);
    expect(packetsOf(readFileSync(slow))).toEqual(y4mPackets);
  });

  test("is read from where standard input stands when that is a file", async () => {
    const file = output();
    const line = '(head -c "$3" > /dev/null; bun run encode.ts - --size 320x192 --fps 12 -o "$2") < "$1"';
    // head reads as much as it is told only through dd's one call.
    const { exitCode } = await shell(
      line.replace("head -c", "dd count=1 status=none bs=").replace('= "', '="'),
      CLIP,
      file,
      `${CLIP_FRAME_BYTES}`,
    );
    expect(exitCode).toBe(0);
    expect(readIvf(readFileSync(file)).packets).toHaveLength(CLIP_FRAMES - 1);
  });
});

describe("output", () => {
  test("goes to standard output as IVF, and then the summary does not", async () => {
    const { exitCode, stdout, stderr } = await encode(y4m, "-o", "-");
    expect(exitCode).toBe(0);
    expect(packetsOf(stdout)).toEqual(y4mPackets);
    expect(stderr).toMatch(/9 frames \(1 key\)/);
  });

  test("on standard output is WebM with --container webm: live in a pipe, complete in a file", async () => {
    const [piped, redirected, named] = [output("webm"), output("webm"), output("webm")];
    const webm = "-o - --container webm --quiet";
    expect((await shell(`bun run encode.ts "$1" ${webm} | cat > "$2"`, y4m, piped)).exitCode).toBe(0);
    expect((await shell(`bun run encode.ts "$1" ${webm} > "$2"`, y4m, redirected)).exitCode).toBe(0);
    expect((await encode(y4m, "-o", named)).exitCode).toBe(0);
    const duration = "ffprobe -v error -show_entries format=duration -of csv=p=0".split(" ");
    expect(run(...duration, piped).toString()).toBe("N/A\n");
    expect(run(...duration, redirected).toString()).toBe("0.750000\n");
    for (const file of [piped, redirected]) {
      expect(decodableFrames(file)).toBe(CLIP_FRAMES);
      expect(decodedMd5(file)).toBe(decodedMd5(named));
    }
    expect(readFileSync(redirected).length).toBe(readFileSync(named).length);
  });

  test("without a known ending is what --container says, and the pixel aspect is kept in a WebM only", async () => {
    const file = folder.file("no-ending");
    const wide = ["--pixel-aspect", "4:3", "--container"];
    const webm = await encodeJson(y4m, "-o", file, ...wide, "webm");
    expect(webm).not.toHaveProperty("notes");
    expect(decodableFrames(file)).toBe(CLIP_FRAMES);
    const ivf = await encodeJson(y4m, "-o", file, ...wide, "ivf");
    expect(ivf.notes).toEqual([expect.stringContaining("IVF can't store the pixel aspect 4:3")]);
    expect(packetsOf(readFileSync(file))).toEqual(y4mPackets);
  });

  test("through a pipe is whole, in a chain of commands, and is no other than the file", async () => {
    const file = output();
    const { exitCode } = await shell('cat "$1" | bun run encode.ts - -o - --quiet | cat > "$2"', y4m, file);
    expect(exitCode).toBe(0);
    expect(packetsOf(readFileSync(file))).toEqual(y4mPackets);
  });

  test("of a redirection is the file that -o makes, its frame count included", async () => {
    const [redirected, named] = [output(), output()];
    expect((await shell('bun run encode.ts "$1" -o - > "$2"', y4m, redirected)).exitCode).toBe(0);
    expect((await encode(y4m, "-o", named)).exitCode).toBe(0);
    expect(readFileSync(redirected).equals(readFileSync(named))).toBe(true);
    expect(readIvf(readFileSync(named)).frameCount).toBe(CLIP_FRAMES);
  });

  test("has key frames where --force-key lists them", async () => {
    const file = output();
    const report = await encodeJson("--force-key", "0,4,7", "-o", file, y4m);
    expect(report.keyFrames).toBe(3);
    const flags = run(
      "ffprobe",
      "-v",
      "error",
      "-show_entries",
      "packet=flags",
      "-of",
      "csv=p=0",
      file,
    ).toString();
    expect(
      flags
        .trim()
        .split("\n")
        .map((line) => line.startsWith("K")),
    ).toEqual(Array.from({ length: CLIP_FRAMES }, (_, index) => [0, 4, 7].includes(index)));
  });
});

describe("what is said", () => {
  test("with --json is exactly one object on standard output", async () => {
    const file = output();
    const { exitCode, stdout, stderr } = await encode(
      CLIP,
      ...RAW,
      "--rc",
      "cq",
      "--cq-level",
      "20",
      "--in-flight",
      "3",
      "-o",
      file,
      "--json",
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(text(stdout)).toEndWith("}\n");
    const report = JSON.parse(text(stdout));
    const bytes = readIvf(readFileSync(file)).packets.reduce((sum, { data }) => sum + data.length, 0);
    expect(report).toEqual({
      frames: CLIP_FRAMES,
      keyFrames: 1,
      droppedFrames: 0,
      packetBytes: bytes,
      wallMs: expect.any(Number),
      portionsMs: {
        start: expect.any(Number),
        read: expect.any(Number),
        submit: expect.any(Number),
        wait: expect.any(Number),
        collect: expect.any(Number),
        write: expect.any(Number),
        finish: expect.any(Number),
      },
      steadyFrameMs: expect.any(Number),
      deviceMs: expect.any(Number),
      videoMs: 750,
      codec: expect.stringMatching(/^libvpx \d+\.\d+\.\d+$/),
      inFlight: 3,
      missedInterrupts: expect.any(Number),
      recoveries: [],
      input: CLIP,
      output: file,
      device: "model:vp9",
      path: "dma",
      settings: {
        width: 320,
        height: 192,
        format: "i420",
        fps: { num: 12, den: 1 },
        timebase: { num: 1, den: 1000 },
        bitrateMode: "quantizer",
        cqLevel: 20,
        speed: 8,
        threads: 1,
      },
      notes: [expect.stringContaining("--rc cq also has a maximum bitrate")],
    });
    expect(report.deviceMs).toBeGreaterThan(0);
    const portions = Object.values<number>(report.portionsMs).reduce((sum, ms) => sum + ms, 0);
    expect(portions).toBeCloseTo(report.wallMs, 3);
    expect(report.steadyFrameMs).toBeGreaterThan(0);
    expect(report.wallMs).toBeGreaterThan(report.deviceMs / 2);
  });

  test("with --json names no input for the built-in clip, and goes to standard error beside a video on standard output", async () => {
    const { stdout, stderr } = await encode("-o", "-", "--json", "--frames", "2");
    expect(readIvf(stdout).packets).toHaveLength(2);
    expect(JSON.parse(stderr)).toMatchObject({ frames: 2, input: null, output: "-" });
  });

  test("with --json of a failure is the same object, with the error and what was encoded before", async () => {
    const { exitCode, stdout, stderr } = await encode(
      y4m,
      "-o",
      output(),
      "--json",
      "--recover=0",
      "--device",
      "model:vp9?fault=die@5",
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: "" });
    const report = JSON.parse(text(stdout));
    expect(report).toMatchObject({ frames: 4, device: "model:vp9?fault=die@5" });
    expect(report.error).toMatch(/the server disconnected/);
  });

  test("with --quiet is nothing, except for errors", async () => {
    const { exitCode, stdout, stderr } = await encode("--quiet", "-o", output());
    expect({ exitCode, stdout: text(stdout), stderr }).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    expectFailure(await encode("--quiet", "/nope", "-o", output()), 3, /ENOENT/);
  });

  test("of a device that was named is no line", async () => {
    const { stderr } = await encode("--device", "model:vp9", "-o", output());
    expect(stderr).toBe("");
  });

  test("on a terminal is progress in one line that is gone at the end", async () => {
    const { exitCode, stdout } = await start([
      ...["script", "-qec", `bun run encode.ts ${y4m} -o ${output()}`, "/dev/null"],
    ]).ended();
    expect(exitCode).toBe(0);
    const shown = text(stdout).replaceAll("\r", "<CR>").replaceAll("\x1b[K", "<CLEAR>");
    expect(shown).toMatch(/<CR>frame \d\/9, [\d.]+ fps, \d+ kbit\/s, \d\d:\d\d left<CLEAR>/);
    expect(shown).toMatch(/<CR><CLEAR>9 frames \(1 key\).*<CR>\n$/);
  });

  test("by --help are examples, every option and the exit codes", async () => {
    const { exitCode, stdout, stderr } = await encode("--help");
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const help = text(stdout);
    expect(help.match(/^ {2}.*bun run encode\.ts .*-o /gm)).toHaveLength(3);
    expect(help).toContain("0 done, 1 device, 2 usage, 3 input, 4 output, 130 interrupted");
    const options =
      "output container device path in-flight size fps format range pixel-aspect rc bitrate cq-level gop speed threads frames";
    for (const option of `${options} force-key codec json quiet`.split(" "))
      expect(help).toContain(`--${option}`);
  });
});

describe("a mistake on the command line is exit code 2, and touches no file:", () => {
  test.each<[string, RegExp]>([
    ["", /say where the video goes: -o OUT\.webm, -o OUT\.ivf, or -o - for standard output/],
    ["-o", /-o, --output OUT: the value is missing/],
    ["-o OUT --bogus 1", /unknown option --bogus; see --help/],
    ["-o OUT -x", /unknown option -x/],
    ["-o OUT --no-json5", /unknown option --no-json5/],
    ["-o OUT one two", /unexpected argument "two"/],
    ["-o OUT --rc crf", /--rc crf: it must be one of cbr, vbr, cq/],
    ["-o OUT --path pio", /--path pio: it must be one of dma, window/],
    [
      "-o OUT --codec x264",
      /--codec x264: it must be one of libvpx, embedded, debian, libav\.js, null, help;/,
    ],
    [
      "-o OUT --format yuy2",
      /--format yuy2: it must be one of i420, nv12, i422, .*, i444p12, yv12, nv21, yuyv, uyvy, mono/,
    ],
    ["-o OUT --bitrate 0", /--bitrate 0: it must be a whole number from 1 to 1000000/],
    ["-o OUT --bitrate 1e3", /--bitrate 1e3: it must be a whole number/],
    ["-o OUT --bitrate 1.5", /--bitrate 1\.5: it must be a whole number/],
    ["-o OUT --bitrate", /--bitrate KBPS: the value is missing/],
    ["-o OUT --cq-level 64", /--cq-level 64: it must be a whole number from 0 to 63/],
    ["-o OUT --gop -1", /--gop -1: it must be a whole number from 0 to 1000000/],
    ["-o OUT --speed 10", /--speed 10: it must be a whole number from -9 to 9/],
    ["-o OUT --threads 0", /--threads 0: it must be a whole number from 1 to 64/],
    ["-o OUT --in-flight 1024", /--in-flight 1024: it must be a whole number from 1 to 1023/],
    ["-o OUT --frames 0", /--frames 0: it must be a whole number from 1 to/],
    ["-o OUT --force-key 1,x", /--force-key x: it must be a whole number from 0 to/],
    ["-o OUT --fps 25fps", /--fps 25fps: it must be N or N\/D, such as 25 or 30000\/1001/],
    ["-o OUT --fps 0", /--fps 0: it must be N or N\/D/],
    [
      "-o OUT --fps 99999999999",
      /--fps: the frame rate is 99999999999\/1; both must be whole numbers from 1 to 1000000000/,
    ],
    ["-o OUT --container mp4", /--container mp4: it must be one of ivf, webm/],
    [
      "-o OUT --container webm",
      /\.ivf" ends in \.ivf, but the container given is webm\. Rename the file, or leave/,
    ],
    ["-o OUT --range pc", /--range pc: it must be one of limited, full/],
    [
      "-o OUT --pixel-aspect 16/9",
      /--pixel-aspect 16\/9: it must be N:D, a pixel's width and height, such as 16:11/,
    ],
    [
      "-o OUT --pixel-aspect 0:1",
      /--pixel-aspect: the pixel aspect is 0:1; both must be whole numbers from 1/,
    ],
    [
      "-o OUT --pixel-aspect 1:1000000000",
      /--pixel-aspect: .* both must be whole numbers from 1 to 999999999/,
    ],
    ["-o OUT --pixel-aspect 16:11", /--pixel-aspect describes an input, and none is given/],
    ["-o OUT --range full", /--range describes an input, and none is given/],
    ["-o OUT --size 320", /--size 320: it must be WxH, such as 1920x1080/],
    ["-o OUT --size 0x192", /--size: the width is 0; it must be a whole number from 1 to 16384/],
    ["-o OUT --size 320x20000", /--size: the height is 20000/],
    [
      "-o OUT --codec null --device vfio-user:/x",
      /--codec chooses the software model's codec; vfio-user:\/x has its own/,
    ],
  ])("%s", async (line, message) => {
    const file = output();
    const args = line
      .split(" ")
      .filter(Boolean)
      .map((word) => (word === "OUT" ? file : word));
    expectFailure(await encode(...args), 2, message);
    expect(existsSync(file)).toBe(false);
  });

  test("an ending that is no container", async () => {
    const file = folder.file("out.mp4");
    expectFailure(
      await encode(y4m, "-o", file),
      2,
      /out\.mp4" does not end in \.ivf or \.webm, the supported containers\. .* say the container: --container ivf\|webm/,
    );
    expect(existsSync(file)).toBe(false);
  });
});

describe("input that can't be used is exit code 3:", () => {
  const make = (name: string, content: string | Uint8Array) => {
    writeFileSync(folder.file(name), content);
    return folder.file(name);
  };
  const header = "YUV4MPEG2 W320 H192 F12:1";
  mkdirSync(folder.file("folder"));
  const cases: [string, string, RegExp][] = [
    [
      "a missing file",
      "/no/such.y4m",
      /cannot open "\/no\/such\.y4m" for reading: ENOENT: there is no such file or folder; check the path/,
    ],
    ["a folder", folder.file("folder"), /EISDIR: it is a folder; name a file in it/],
    ["an empty file", make("empty.y4m", ""), /empty\.y4m" is empty: there is no frame to read/],
    [
      "raw video of unknown size",
      make("clip.yuv", clip),
      /raw video does not say its size\. Describe it: --size WxH/,
    ],
    [
      "a header without a size",
      make("sizeless.y4m", "YUV4MPEG2 F12:1\nFRAME\n"),
      /the y4m header has no width \(W\)/,
    ],
    [
      "a header with an absurd size",
      make("absurd.y4m", "YUV4MPEG2 W-3 H192 F12:1\n"),
      /the y4m header ".*" lies: the width is -3/,
    ],
    [
      "9-bit video",
      converted("nine.y4m", "-pix_fmt", "yuv420p9le", "-strict", "-1"),
      /the video is 9-bit 4:2:0 .* in 8, 10 or 12 bits, .*\. Convert it: ffmpeg -i/,
    ],
    [
      "4:1:1 video",
      converted("411.y4m", "-pix_fmt", "yuv411p"),
      /the video is 8-bit 4:1:1 .* it has 4:2:0, 4:2:2, 4:4:0 and 4:4:4/,
    ],
    [
      "a header that says less than there is",
      make(
        "lies.y4m",
        Buffer.concat([Buffer.from("YUV4MPEG2 W160 H96 F12:1\nFRAME\n"), clip.subarray(0, CLIP_FRAME_BYTES)]),
      ),
      /frame 1 \(counted from 0\) should begin with "FRAME".*The header's size 160x96 does not fit the data/,
    ],
    [
      "a header that says more than there is",
      make("more.y4m", Buffer.concat([Buffer.from(`${header.replace("192", "19200")}\nFRAME\n`), clip])),
      /lies: the height is 19200/,
    ],
  ];
  test.each(cases)("%s", async (_, input, message) => {
    expectFailure(await encode(input, "-o", output(), "--quiet"), 3, message);
  });

  for (const inFlight of ["1", "8"]) {
    test(`video cut short inside a frame, and the whole frames before are in the output (${inFlight} in flight)`, async () => {
      for (const [name, bytes, args] of [
        ["short.yuv", clip.subarray(0, 6.5 * CLIP_FRAME_BYTES), RAW],
        ["short.y4m", readFileSync(y4m).subarray(0, 6.5 * CLIP_FRAME_BYTES), []],
      ] as const) {
        const file = output();
        const ended = await encode(
          make(name, bytes),
          ...args,
          "-o",
          file,
          "--quiet",
          "--in-flight",
          inFlight,
        );
        expectFailure(
          ended,
          3,
          /ends inside frame 6 \(counted from 0\): \d+ of its \d+ bytes are there\.[\s\S]*holds the 6 frames before that/,
        );
        expect(decodableFrames(file)).toBe(6);
      }
    });
  }
});

describe("output that can't be written is exit code 4:", () => {
  test("a folder that is not there", async () => {
    expectFailure(
      await encode(y4m, "-o", folder.file("no/out.ivf")),
      4,
      /cannot open ".*no\/out\.ivf" for writing: ENOENT/,
    );
  });

  test("the input itself, which stays as it was", async () => {
    const file = folder.file("same.ivf");
    writeFileSync(file, clip);
    expectFailure(
      await encode(file, ...RAW, "-o", file),
      4,
      /is also the input: writing it would destroy the video being read/,
    );
    const onto = await shell('bun run encode.ts "$1" --size 320x192 -o - 1<> "$1"', file);
    expectFailure(onto, 4, /standard output is also the input/);
    expect(readFileSync(file).equals(clip)).toBe(true);
  });

  test("a full disk", async () => {
    for (const ending of ["ivf", "webm"]) {
      const full = folder.file(`full.${ending}`);
      symlinkSync("/dev/full", full);
      expectFailure(
        await encode(y4m, "-o", full, "--quiet"),
        4,
        /full\.\w+".*ENOSPC: no space is left on the device; free some or write somewhere else/,
      );
    }
    expectFailure(
      await shell('bun run encode.ts "$1" -o - --quiet > /dev/full', y4m),
      4,
      /standard output.*ENOSPC/,
    );
  });

  test.each(["ivf", "webm"])(
    "a %s file that reaches the size limit, which keeps the frames before",
    async (ending) => {
      const file = output(ending);
      // Noise makes packets larger than frames. The limit must leave room for the device's window of 8 MiB.
      const noise = "/dev/urandom --size 640x360 --frames 60 --rc cq --cq-level 0 --bitrate 100000 --quiet";
      const ended = await shell(`ulimit -f 9216; bun run encode.ts ${noise} -o "$1"`, file);
      expectFailure(
        ended,
        4,
        /EFBIG: the file reached the size limit; raise it \(ulimit -f\) or write somewhere else/,
      );
      const said = Number(/holds the (\d+) frames before that/.exec(ended.stderr)?.[1]);
      expect(said).toBeWithin(5, 60);
      expect(decodableFrames(file)).toBe(said);
    },
  );

  test("a pipe whose reader has left", async () => {
    const ended = await shell("bun run encode.ts /dev/zero --size 320x192 -o - | head -c 100 > /dev/null");
    expectFailure(
      ended,
      4,
      /standard output.*EPIPE: the program reading the output ended before it read everything/,
    );
  });
});

describe("Ctrl-C", () => {
  test.each(["ivf", "webm"])(
    "in the middle of an endless input ends with 130 and a valid %s of what was encoded",
    async (ending) => {
      const file = output(ending);
      const running = startScript("encode.ts", "/dev/zero", "--size", "320x192", "-o", file);
      await until(() => sizeOf(file) > 2000, "some packets in the output");
      running.signalGroup("SIGINT");
      const ended = await running.ended();
      expectFailure(ended, 130, /interrupted\n.* holds the \d+ frames before that/);
      const said = Number(/holds the (\d+) frames/.exec(ended.stderr)?.[1]);
      expect(said).toBeGreaterThan(0);
      expect(decodableFrames(file)).toBe(said);
    },
  );

  test("while a pipe delivers nothing more ends with 130, and every whole frame that came is in the output", async () => {
    const file = output();
    const running = start(["bun", "run", "encode.ts", "-", ...RAW, "-o", file], { stdin: "pipe" });
    running.stdin.write(clip.subarray(0, 5.5 * CLIP_FRAME_BYTES));
    await running.stdin.flush();
    await until(() => sizeOf(file) > 32 && readIvf(readFileSync(file)).packets.length === 5, "5 packets");
    running.signalGroup("SIGINT");
    expectFailure(await running.ended(), 130, /interrupted\n.* holds the 5 frames before that/);
    expect(decodableFrames(file)).toBe(5);
    expect(readIvf(readFileSync(file)).frameCount).toBe(5);
  });

  test("before a pipe delivered anything, or a FIFO has a writer, ends with 130", async () => {
    const fifo = folder.file("fifo");
    run("mkfifo", fifo);
    for (const input of ["-", fifo]) {
      const running = start(["bun", "run", "encode.ts", input, ...RAW, "-o", output()], { stdin: "pipe" });
      await until(
        () => running.find("scripts/encode.ts").some((pid) => handles(pid, "SIGINT")),
        "the script to run",
      );
      running.signalGroup("SIGINT");
      expectFailure(await running.ended(), 130, /interrupted/);
    }
  });

  test("while the device is still starting ends with 130, too", async () => {
    const words = ["encode.ts", "/dev/zero", "--size", "320x192", "-o"] as const;
    for (const delayMs of [0, 5, 10, 20, 40]) {
      const here = startScript(...words, output());
      const apart = startScript(...words, output(), "--device", OWN_PROCESS);
      await Promise.all([
        until(() => here.find("scripts/encode.ts").some((pid) => handles(pid, "SIGINT")), "the script"),
        until(() => apart.find("hosting/child.ts").length > 0, "the model's process"),
      ]);
      await Bun.sleep(delayMs);
      for (const running of [here, apart]) {
        running.signalGroup("SIGINT");
        expectFailure(await running.ended(), 130, /interrupted/);
      }
    }
  });
});

test("a second Ctrl-C ends a run that can't finish its output", async () => {
  const noise = "/dev/urandom --size 320x192 -o - --quiet";
  const running = start(["bash", "-c", `bun run encode.ts ${noise} | sleep 100`]);
  const script = () => running.find("scripts/encode.ts");
  // A pipe holds 64 KiB, less than one frame of noise becomes: the script stops reading when it has filled it.
  const taken = () =>
    script().map((pid) => Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "latin1"))?.[1]))[0] ??
    0;
  await until(() => script().some((pid) => handles(pid, "SIGINT")), "the script to run");
  for (let before = -1; before !== taken() || before < 5 * CLIP_FRAME_BYTES; await Bun.sleep(300))
    before = taken();
  process.kill(script()[0]!, "SIGINT");
  await Bun.sleep(600);
  const stuck = script().length;
  // The half second in which signals count as one begins when the program gets to the first: on a busy machine that is later.
  for (let presses = 0; presses < 10; presses++) {
    const [pid] = script();
    if (pid === undefined) break;
    process.kill(pid, "SIGINT");
    await Bun.sleep(600);
  }
  await until(() => script().length === 0, "the script to end");
  running.signalGroup("SIGKILL");
  const { stderr } = await running.ended();
  expect(stuck).toBe(1);
  expect(stderr).toContain("interrupted again: exiting at once\n");
});

/** A model with a fault to inject has a process of its own; this one never comes. */
const OWN_PROCESS = "model:vp9?fault=die@1000000";

/** Whether a process of Bun has a handler for SIGINT: proc(5), SigCgt. The shell in which "bun run" starts it has one, too. */
function handles(pid: number, signal: "SIGINT"): boolean {
  if (!readlinkSync(`/proc/${pid}/exe`).includes("bun")) return false;
  const caught = /^SigCgt:\s*([\da-f]+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? "0";
  return (BigInt(`0x${caught}`) & (1n << BigInt({ SIGINT: 2 }[signal] - 1))) !== 0n;
}

describe("a device that fails is exit code 1:", () => {
  test.each([
    ["die@5", /the server disconnected \(.*\); restart it and reopen the device/],
    ["ones@5", /STATUS reads as all ones: the device has gone away/],
    [
      "corrupt@5",
      /completion 5 (names tag 0x[\da-f]+, which is not in flight|is for the flush, but slot \d is next)/,
    ],
  ])("%s, and the frames before are in the output", async (fault, message) => {
    for (const path of ["dma", "window"]) {
      const file = output();
      const device = ["--device", `model:vp9?fault=${fault}`, "--path", path, "--recover", "0"];
      const ended = await encode(y4m, "-o", file, ...device);
      expectFailure(ended, 1, message);
      expect(ended.stderr).toContain("holds the 4 frames before that");
      expect(decodableFrames(file)).toBe(4);
      expect(packetsOf(readFileSync(file))).toEqual(y4mPackets.slice(0, 4));
    }
  });

  test.each(["ivf", "webm"])(
    "killed in the middle, and the %s holds what was encoded before",
    async (ending) => {
      const file = output(ending);
      const options = ["--size", "320x192", "--quiet", "--recover", "0", "--device", OWN_PROCESS];
      const running = startScript("encode.ts", "/dev/zero", ...options, "-o", file);
      await until(() => sizeOf(file) > 2000, "some packets in the output");
      const [model] = running.find("hosting/child.ts");
      process.kill(model!, "SIGKILL");
      const ended = await running.ended();
      expectFailure(ended, 1, /model:vp9\?fault=\S+: the server disconnected/);
      expect(decodableFrames(file)).toBe(Number(/holds the (\d+) frames/.exec(ended.stderr)?.[1]));
    },
  );

  test("while the input delivers nothing, told at once", async () => {
    const device = ["--device", "model:vp9?fault=die@3", "--recover", "0"];
    const running = start(["bun", "run", "encode.ts", "-", ...RAW, "-o", output(), ...device], {
      stdin: "pipe",
    });
    running.stdin.write(clip.subarray(0, 3 * CLIP_FRAME_BYTES));
    await running.stdin.flush();
    expectFailure(await running.ended(), 1, /the server disconnected[\s\S]*holds the 2 frames before that/);
  });

  test.each<[string[], RegExp]>([
    [
      ["--device", "nonsense"],
      /"nonsense" is not a device that can be opened; use an address such as 0000:00:09.0, vfio-user:\/path\/to\.sock for a server, or model:vp9/,
    ],
    [
      ["--device", "vfio-user:/nope"],
      /vfio-user:\/nope: connect to \/nope: ENOENT: no such socket; start the server first; bun run model\.ts --socket \/nope starts one with a software model/,
    ],
    [["--device", "model:vp8"], /unknown model "vp8"/],
    [["--device", "model:vp9?speed=3"], /model:vp9 has no option "speed"; it has codec and fault/],
    [["--device", "model:vp9?fault=melt@1"], /unknown fault "melt@1"/],
    [
      ["/dev/zero", "--size", "3840x2160", "--path", "window"],
      /a frame of 12441600 bytes and its packet do not fit the device's window of 8388608 bytes; use the DMA path, or smaller frames/,
    ],
  ])("%j", async (args, message) => {
    expectFailure(await encode(...args, "-o", output()), 1, message);
  });
});

test("a vfio-user server serves one run after the other, and goes with its socket on Ctrl-C", async () => {
  const socket = folder.file("vp9.sock");
  const server = startScript("model.ts", "--socket", socket);
  await until(() => existsSync(socket), "the server's socket");
  for (const path of ["dma", "window"]) {
    const file = output();
    const report = await encodeJson(y4m, "-o", file, "--device", `vfio-user:${socket}`, "--path", path);
    expect(report).toMatchObject({ device: `vfio-user:${socket}`, frames: CLIP_FRAMES });
    expect(packetsOf(readFileSync(file))).toEqual(y4mPackets);
  }
  // A run that is interrupted leaves the server fit for the next.
  const file = output();
  const running = startScript(
    "encode.ts",
    "/dev/zero",
    "--size",
    "320x192",
    "-o",
    file,
    "--device",
    `vfio-user:${socket}`,
  );
  await until(() => sizeOf(file) > 2000, "some packets in the output");
  running.signalGroup("SIGINT");
  expect((await running.ended()).exitCode).toBe(130);
  const last = output();
  await encodeJson(y4m, "-o", last, "--device", `vfio-user:${socket}`);
  expect(packetsOf(readFileSync(last))).toEqual(y4mPackets);
  server.signalGroup("SIGINT");
  expect((await server.ended()).exitCode).toBe(0);
  expect(existsSync(socket)).toBe(false);
});

test("a server whose codec is busy with an endless stream ends on Ctrl-C, and its client says so", async () => {
  const socket = folder.file("busy.sock");
  const server = startScript("model.ts", "--socket", socket);
  await until(() => existsSync(socket), "the server's socket");
  const file = output();
  const busy = [
    "/dev/zero",
    "--size=640x480",
    "--speed=0",
    "-o",
    file,
    "--recover=0",
    `--device=vfio-user:${socket}`,
  ];
  const running = startScript("encode.ts", ...busy);
  await until(() => sizeOf(file) > 500, "some packets in the output");
  server.signalGroup("SIGINT");
  expect((await server.ended()).exitCode).toBe(0);
  const ended = await running.ended();
  expect(ended.exitCode).toBe(1);
  expect(ended.stderr).toMatch(/the server disconnected .*\n.* holds the \d+ frames before that/);
});

test("what fails before the first frame costs no existing file", async () => {
  const file = output("webm");
  writeFileSync(file, "precious");
  const header = folder.file("header-only.y4m");
  writeFileSync(header, "YUV4MPEG2 W640 H360 F25:1 Ip C420\n");
  expectFailure(await encode(header, "-o", file), 3, /header-only\.y4m" has no frame/);
  writeFileSync(header, "YUV4MPEG2 W640 H360 F25:1 Ip C420\nFRAME\nshort");
  expectFailure(await encode(header, "-o", file), 3, /ends inside frame 0/);
  expectFailure(await encode(y4m, "-o", file, "--device", "vfio-user:/nope"), 1, /no such socket/);
  expectFailure(
    await encode("--size", "64x64", "-o", file),
    2,
    /--size describes an input, and none is given/,
  );
  expect(readFileSync(file, "utf8")).toBe("precious");
});
