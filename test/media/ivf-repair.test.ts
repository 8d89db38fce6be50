import { expect, test } from "bun:test";
import {
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { completeIvf, examineIvf, isWhole } from "../../src/media/ivf-repair.ts";
import { frameTimeUs } from "../../src/media/video.ts";
import { openPacketWriter } from "../../src/media/writer.ts";
import { readIvf } from "./read-ivf.ts";
import { bash, CLIP_VIDEO, failure, tempFolder } from "./rig.ts";

const SIZES = [3000, 16, 1, 700];
const HEADER = 32;
const FRAME_HEADER = 12;
/** Where each frame begins, and the file's end. */
const STARTS = [HEADER];
for (const size of SIZES) STARTS.push(STARTS.at(-1)! + FRAME_HEADER + size);

/** An IVF of frames of those sizes, of bytes that are not 0. */
async function write(path: string): Promise<Buffer> {
  const writer = await openPacketWriter(path, CLIP_VIDEO);
  for (const [i, size] of SIZES.entries())
    await writer.write({
      data: new Uint8Array(size).fill(i + 1),
      type: i ? "delta" : "key",
      timestampUs: frameTimeUs(i, CLIP_VIDEO.fps),
      durationUs: 0,
    });
  await writer.close();
  return readFileSync(path);
}

function repaired(path: string) {
  const found = examineIvf(path);
  if (!isWhole(found)) completeIvf(path, found);
  return found;
}

test("an IVF cut at any byte is repaired to its whole frames, which stay as they were", async () => {
  using folder = tempFolder();
  const path = folder.file("cut.ivf");
  const whole = await write(path);
  for (let length = HEADER; length < whole.length; length++) {
    const cut = Buffer.from(whole.subarray(0, length));
    cut.writeUInt32LE(0, 24); // as while it is written
    writeFileSync(path, cut);
    const frames = STARTS.filter((start) => start > HEADER && start <= length).length;
    expect(repaired(path)).toEqual({
      ...{ frames, headerFrames: 0 },
      ...{ wholeBytes: STARTS[frames]!, cutBytes: length - STARTS[frames]! },
    });
    const now = readFileSync(path);
    expect(readIvf(now)).toMatchObject({ frameCount: frames });
    expect(now.subarray(HEADER).equals(whole.subarray(HEADER, STARTS[frames]))).toBe(true);
  }
}, 60_000);

test("a whole IVF is not touched, and one of which only the count is wrong keeps every byte else", async () => {
  using folder = tempFolder();
  const path = folder.file("whole.ivf");
  const whole = await write(path);
  utimesSync(path, 1000, 1000);
  expect(isWhole(repaired(path))).toBe(true);
  expect(statSync(path).mtimeMs).toBe(1000_000);
  for (const count of [0, 3, 2 ** 32 - 1]) {
    const stale = Buffer.from(whole);
    stale.writeUInt32LE(count, 24);
    writeFileSync(path, stale);
    expect(repaired(path).headerFrames).toBe(count);
    expect(readFileSync(path).equals(whole)).toBe(true);
  }
});

test("zeros at the end, which a crash of the machine leaves, are cut off", async () => {
  using folder = tempFolder();
  const path = folder.file("zeros.ivf");
  const whole = await write(path);
  for (const zeros of [1, FRAME_HEADER, 5000, 3_000_000]) {
    truncateSync(path, whole.length + zeros);
    expect(repaired(path).cutBytes).toBe(zeros);
    expect(readFileSync(path).equals(whole)).toBe(true);
  }
});

test("an IVF that is damaged elsewhere than at its end is refused, and not changed: frames may be whole behind that", async () => {
  using folder = tempFolder();
  const path = folder.file("damaged.ivf");
  const whole = await write(path);
  const damages: [name: string, change: (bytes: Buffer) => void][] = [
    ["a size of 4 GiB", (bytes) => bytes.writeUInt32LE(2 ** 32 - 1, STARTS[1]!)],
    ["a size that leads into a frame", (bytes) => bytes.writeUInt32LE(17, STARTS[1]!)],
    ["a size beyond the end", (bytes) => bytes.writeUInt32LE(SIZES[1]! + 5000, STARTS[1]!)],
    ["the first size beyond the end", (bytes) => bytes.writeUInt32LE(SIZES[0]! + 5000, STARTS[0]!)],
    ["a size of 0", (bytes) => bytes.writeUInt32LE(0, STARTS[2]!)],
    ["a time before the one before", (bytes) => bytes.writeBigUInt64LE(0n, STARTS[3]! + 4)],
    ["an absurd time", (bytes) => bytes.writeBigUInt64LE(2n ** 63n, STARTS[2]! + 4)],
    ["zeros in the middle", (bytes) => bytes.fill(0, STARTS[1]!, STARTS[3]!)],
  ];
  for (const [name, change] of damages) {
    const damaged = Buffer.from(whole);
    change(damaged);
    writeFileSync(path, damaged);
    const error = await failure(() => repaired(path));
    expect([name, error.message]).toEqual([
      name,
      expect.stringMatching(/damaged\.ivf" is damaged at byte \d+/),
    ]);
    expect([name, readFileSync(path).equals(damaged)]).toEqual([name, true]);
  }
});

test("what is no regular file or no IVF is refused by what it is", async () => {
  using folder = tempFolder();
  const path = folder.file("x");
  const whole = await write(folder.file("whole.ivf"));
  const says = async (bytes: Uint8Array) => {
    writeFileSync(path, bytes);
    const { message } = await failure(() => repaired(path));
    expect(readFileSync(path).equals(bytes)).toBe(true);
    return message;
  };
  expect(await says(Buffer.alloc(0))).toContain("is empty");
  expect(await says(Buffer.from("YUV4MPEG2 W2 H2"))).toContain('begins with "YUV4"');
  expect(await says(Buffer.from([0x1a, 0x45, 0xdf, 0xa3, 1]))).toContain("is a WebM, which needs no repair");
  for (const length of [4, 8, 31])
    expect(await says(whole.subarray(0, length))).toContain(`ends after ${length}`);
  for (const headerBytes of [0, 31, 65535]) {
    const lies = Buffer.from(whole);
    lies.writeUInt16LE(headerBytes, 6);
    expect(await says(lies)).toContain(`${headerBytes} bytes are said to be it`);
  }
  mkdirSync(folder.file("folder"));
  bash('mkfifo "$1"', folder.file("fifo"));
  for (const other of [folder.file("folder"), folder.file("fifo"), "/dev/zero"])
    expect((await failure(() => repaired(other))).message).toContain("is not a regular file");
  expect((await failure(() => repaired(folder.file("none")))).message).toContain("ENOENT");
  symlinkSync("whole.ivf", folder.file("link"));
  expect(isWhole(repaired(folder.file("link")))).toBe(true);
});

test("a file that has grown since it was examined is left alone", async () => {
  using folder = tempFolder();
  const path = folder.file("grown.ivf");
  const whole = await write(path);
  writeFileSync(path, whole.subarray(0, -1));
  const found = examineIvf(path);
  writeFileSync(path, whole);
  expect((await failure(() => completeIvf(path, found))).message).toContain("another program writes to it");
  expect(readFileSync(path).equals(whole)).toBe(true);
});
