import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { linkSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { MediaError } from "../../src/media/video.ts";
import { containerFor, openPacketWriter } from "../../src/media/writer.ts";
import { readIvf } from "./read-ivf.ts";
import {
  bash,
  CLIP_VIDEO,
  decodedMd5,
  failure,
  type Outcome,
  packetTimes,
  tempFolder,
  vpxencClip,
} from "./rig.ts";

setDefaultTimeout(60_000);

const COPY = `${import.meta.dir}/copy-packets.ts`;
const folder = tempFolder();
const ivf = folder.file("clip.ivf");

beforeAll(() => vpxencClip(ivf));
afterAll(() => folder[Symbol.dispose]());

function report({ exitCode, stderr }: Outcome): { code: string; message: string; written: number } {
  if (exitCode !== 3) throw new Error(`it should have ended with 3, not ${exitCode}: ${stderr}`);
  return JSON.parse(stderr);
}

test("an ending other than .ivf and .webm is refused, and no file made", async () => {
  for (const name of ["a.mp4", "a", "a.ivf.txt", "ivf", "a.constructor"]) {
    const error = await failure(() => openPacketWriter(folder.file(name), CLIP_VIDEO));
    expect(error).toBeInstanceOf(MediaError);
    expect(error.message).toContain(`${name}" does not end in .ivf or .webm`);
    expect(await Bun.file(folder.file(name)).exists()).toBe(false);
  }
});

test.each([
  ["a.ivf", undefined, "ivf"],
  ["a.IVF", "ivf", "ivf"],
  ["a.b/c.webm", undefined, "webm"],
  ["-", undefined, "ivf"],
  ["-", "webm", "webm"],
  ["-", "ivf", "ivf"],
  ["a", "webm", "webm"],
  ["a.mkv", "webm", "webm"],
  ["webm/a", "ivf", "ivf"],
  ["a.constructor", "ivf", "ivf"],
] as const)("%s with the container %s given is %s", (output, given, container) => {
  expect(containerFor(output, given)).toBe(container);
});

test("a container that is not the ending's is refused, and no file made", async () => {
  for (const [name, given] of [
    ["a.ivf", "webm"],
    ["a.WebM", "ivf"],
  ] as const) {
    const file = folder.file(name);
    const error = await failure(() => openPacketWriter(file, CLIP_VIDEO, undefined, given));
    expect(error).toBeInstanceOf(MediaError);
    expect(error.message).toContain(
      `${name}" ends in .${name.slice(2).toLowerCase()}, but the container given is ${given}. Rename the file, or leave`,
    );
    expect(await Bun.file(file).exists()).toBe(false);
  }
});

test("a name without an ending gets the container that is given", async () => {
  for (const [container, magic] of [
    ["ivf", "444b4946"],
    ["webm", "1a45dfa3"],
  ] as const) {
    const file = folder.file(`no-ending-${container}`);
    await using writer = await openPacketWriter(file, CLIP_VIDEO, undefined, container);
    await writer.close();
    expect(readFileSync(file).toString("hex", 0, 4)).toBe(magic);
  }
});

test("an output in a folder that isn't there, or that is a folder, is a MediaError naming the errno", async () => {
  symlinkSync(folder.file("."), folder.file("folder.ivf"));
  const missing = await failure(() => openPacketWriter(folder.file("none/a.ivf"), CLIP_VIDEO));
  expect(missing).toMatchObject({ name: "MediaError", code: "ENOENT" });
  expect(missing.message).toContain(`cannot open "${folder.file("none/a.ivf")}" for writing: ENOENT`);
  const isFolder = await failure(() => openPacketWriter(folder.file("folder.ivf"), CLIP_VIDEO));
  expect(isFolder).toMatchObject({ name: "MediaError", code: "EISDIR" });
});

test("an existing output is emptied first", async () => {
  const file = folder.file("old.ivf");
  writeFileSync(file, new Uint8Array(100_000));
  await using writer = await openPacketWriter(file, CLIP_VIDEO);
  await writer.close();
  expect(readFileSync(file).length).toBe(32);
});

test("the input as output is refused untouched, under any of its names", async () => {
  const input = folder.file("input.ivf");
  writeFileSync(input, "precious");
  symlinkSync(input, folder.file("symlink.ivf"));
  linkSync(input, folder.file("hardlink.webm"));
  for (const name of ["input.ivf", "symlink.ivf", "hardlink.webm"]) {
    const error = await failure(() => openPacketWriter(folder.file(name), CLIP_VIDEO, input));
    expect(error).toBeInstanceOf(MediaError);
    expect(error.message).toContain("is also the input");
  }
  expect(readFileSync(input, "utf8")).toBe("precious");
  const other = await openPacketWriter(folder.file("other.ivf"), CLIP_VIDEO, input);
  await other.close();
});

test.each(["ivf", "webm"])(
  "a full disk at once is a MediaError that names ENOSPC and the file (%s)",
  async (ending) => {
    const file = folder.file(`full.${ending}`);
    symlinkSync("/dev/full", file);
    const error = await failure(() => openPacketWriter(file, CLIP_VIDEO));
    expect(error).toMatchObject({ name: "MediaError", code: "ENOSPC" });
    expect(error.message).toContain(`cannot write "${file}" after 0 bytes: ENOSPC: no space is left`);
  },
);

// A file-size limit fails a write just as a full disk does (a short write, then an errno), and needs no root.
test.each(["ivf", "webm"])(
  "when the disk takes no more, the %s keeps every packet before, whole and decodable",
  (ending) => {
    const file = folder.file(`limited.${ending}`);
    const { code, message, written } = report(
      bash(`trap '' XFSZ; ulimit -f 39; bun "$1" "$2" "$3"`, COPY, ivf, file),
    );
    expect(code).toBe("EFBIG");
    expect(message).toContain(`cannot write "${file}" after `);
    expect(written).toBeGreaterThan(3);
    expect(written).toBeLessThan(8);
    expect(packetTimes(file).length).toBe(written);
    expect(decodedMd5(file)).toBe(decodedMd5(ivf, `--limit=${written}`));
    if (ending === "ivf") {
      const { frameCount, packets } = readIvf(readFileSync(file));
      expect([frameCount, packets.length]).toEqual([written, written]);
    }
  },
);

test("when the disk fills after many clusters of a WebM, all before can be played", () => {
  const file = folder.file("clusters.webm");
  const { written } = report(bash(`trap '' XFSZ; ulimit -f 900; bun "$1" "$2" "$3" 40`, COPY, ivf, file));
  expect(written).toBeGreaterThan(150);
  expect(packetTimes(file).length).toBe(written);
  expect(decodedMd5(file)).toBeTruthy();
});

test("when only the WebM's index finds no room at close, the packets are all there", () => {
  const whole = folder.file("whole.webm");
  expect(bash(`bun "$1" "$2" "$3" 40`, COPY, ivf, whole).exitCode).toBe(0);
  const file = folder.file("no-index.webm");
  const bytes = readFileSync(whole);
  const cuesAt = bytes.lastIndexOf(Buffer.from([0x1c, 0x53, 0xbb, 0x6b]));
  expect(bytes.length - cuesAt).toBeGreaterThan(400);
  const line = `trap '' XFSZ; exec prlimit --fsize=$(($4 + 100)) "$BUN" "$1" "$2" "$3" 40`;
  const { code, written } = report(bash(line, COPY, ivf, file, String(cuesAt)));
  expect([code, written]).toEqual(["EFBIG", 360]);
  expect(packetTimes(file).length).toBe(360);
  expect(decodedMd5(file)).toBe(decodedMd5(whole));
  expect(readFileSync(file).length).toBe(cuesAt);
});

test("after a failed write, later ones fail with the same error and closing is harmless", async () => {
  const fifo = folder.file("broken.ivf");
  bash(`mkfifo "$1"`, fifo);
  const reader = Bun.spawn(["head", "-c", "1", fifo], { stdout: "ignore" });
  const writer = await openPacketWriter(fifo, CLIP_VIDEO);
  await reader.exited;
  const packet = { data: new Uint8Array(10), type: "key", timestampUs: 0, durationUs: 0 } as const;
  const error = await failure(() => writer.write(packet));
  expect(error).toMatchObject({ name: "MediaError", code: "EPIPE" });
  expect(await failure(() => writer.write(packet))).toBe(error);
  await writer.close();
  await writer.close();
});

test("a reader that ends early is a MediaError with the code EPIPE, not the end of the process", () => {
  const { code, message } = report(bash(`bun "$1" "$2" - 100 | head -c 100 > /dev/null`, COPY, ivf));
  expect(code).toBe("EPIPE");
  expect(message).toContain("cannot write standard output");
});

test("a slow reader of a non-blocking standard output gets every byte", () => {
  const slow = folder.file("slow.ivf");
  const line = `NONBLOCKING=1 bun "$1" "$2" - 20 | { sleep 0.3; dd bs=4096 of="$3" status=none; }`;
  expect(bash(line, COPY, ivf, slow)).toMatchObject({ exitCode: 0, stderr: "" });
  const theirs = readIvf(readFileSync(ivf)).packets;
  const ours = readIvf(readFileSync(slow)).packets;
  expect(ours.length).toBe(20 * theirs.length);
  expect(ours.every(({ data }, i) => Buffer.from(data).equals(theirs[i % theirs.length]!.data))).toBe(true);
});
