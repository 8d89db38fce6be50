import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { PacketWriter } from "../../src/media/packet.ts";
import { frameTimeUs, MediaError, type Rational } from "../../src/media/video.ts";
import { openPacketWriter } from "../../src/media/writer.ts";
import { type IvfFile, readIvf } from "./read-ivf.ts";
import { bash, CLIP_FRAMES, CLIP_VIDEO, failure, tempFolder, vpxencClip } from "./rig.ts";

const COPY = `${import.meta.dir}/copy-packets.ts`;

async function copy(packets: IvfFile["packets"], writer: PacketWriter, fps: Rational): Promise<void> {
  for (const [i, { data }] of packets.entries())
    await writer.write({ data, type: i ? "delta" : "key", timestampUs: frameTimeUs(i, fps), durationUs: 0 });
}

test.each([
  { num: 12, den: 1 },
  { num: 30_000, den: 1001 },
  { num: 25, den: 1 },
])("an IVF is byte for byte what vpxenc writes, at $num/$den frames a second", async (fps) => {
  using folder = tempFolder();
  vpxencClip(folder.file("theirs.ivf"), `--fps=${fps.num}/${fps.den}`);
  const theirs = readFileSync(folder.file("theirs.ivf"));
  const parsed = readIvf(theirs);
  expect(parsed.packets.length).toBe(CLIP_FRAMES);

  const writer = await openPacketWriter(folder.file("ours.ivf"), { ...CLIP_VIDEO, fps });
  await copy(parsed.packets, writer, fps);
  await writer.close();
  expect(readFileSync(folder.file("ours.ivf")).equals(theirs)).toBe(true);
  expect(writer.bytes).toBe(theirs.length);
});

test("an IVF into a pipe is byte for byte what vpxenc writes into a pipe: its header keeps a count of 0", () => {
  using folder = tempFolder();
  const [file, theirs, ours] = ["file.ivf", "theirs.ivf", "ours.ivf"].map(folder.file) as [
    string,
    string,
    string,
  ];
  vpxencClip(file);
  const options =
    "--rt --lag-in-frames=0 --cpu-used=8 --threads=1 --end-usage=cbr --target-bitrate=500 --ivf";
  const input = "--i420 -w 320 -h 192 --fps=12/1";
  bash(
    `vpxenc ${options} ${input} -o - "$1" | cat > "$2"`,
    `${import.meta.dir}/CiscoVT2people_320x192_12fps.yuv`,
    theirs,
  );
  expect(bash(`bun "$1" "$2" - | cat > "$3"`, COPY, file, ours)).toMatchObject({ exitCode: 0, stderr: "" });
  expect(readIvf(readFileSync(ours))).toMatchObject({ frameCount: 0 });
  expect(readFileSync(ours).equals(readFileSync(theirs))).toBe(true);
});

test("an IVF on standard output that goes to a new file has its frame count, and one that is appended is left alone", () => {
  using folder = tempFolder();
  const [file, fresh, appended] = ["file.ivf", "fresh", "appended"].map(folder.file) as [
    string,
    string,
    string,
  ];
  vpxencClip(file);
  expect(bash(`bun "$1" "$2" - > "$3"`, COPY, file, fresh).exitCode).toBe(0);
  expect(readFileSync(fresh).equals(readFileSync(file))).toBe(true);

  expect(
    bash(`: > "$3"; bun "$1" "$2" - >> "$3"; { echo; bun "$1" "$2" -; } >> "$3"`, COPY, file, appended)
      .exitCode,
  ).toBe(0);
  const bytes = readFileSync(appended);
  const length = readFileSync(file).length;
  expect(bytes.length).toBe(2 * length + 1);
  expect(readIvf(bytes.subarray(0, length))).toMatchObject({ frameCount: 0 });
  expect(readIvf(bytes.subarray(length + 1)).packets.length).toBe(CLIP_FRAMES);
});

test("closing an IVF without packets leaves a valid, empty file, and closing again is harmless", async () => {
  using folder = tempFolder();
  const writer = await openPacketWriter(folder.file("empty.ivf"), CLIP_VIDEO);
  await writer.close();
  await writer.close();
  expect(readIvf(readFileSync(folder.file("empty.ivf")))).toEqual({
    fourcc: "VP90",
    width: 320,
    height: 192,
    rate: 1000,
    scale: 1,
    frameCount: 0,
    packets: [],
  });
});

test("a closed IVF takes no more packets", async () => {
  using folder = tempFolder();
  const writer = await openPacketWriter(folder.file("closed.ivf"), CLIP_VIDEO);
  await writer.close();
  const late = { data: new Uint8Array(1), type: "key", timestampUs: 0, durationUs: 0 } as const;
  expect((await failure(() => writer.write(late))).message).toContain("is closed");
});

test("readIvf gives MediaError for what is no IVF, whatever was cut or changed, and never reads beyond the end", async () => {
  using folder = tempFolder();
  vpxencClip(folder.file("a.ivf"), "--limit=2");
  const whole = readFileSync(folder.file("a.ivf"));
  const [first] = readIvf(whole).packets;
  const wholeFrames = new Set([32, 44 + first!.data.length, whole.length]);
  for (let length = 0; length < whole.length; length += length < 64 ? 1 : 997) {
    if (wholeFrames.has(length)) continue;
    expect(await failure(() => readIvf(whole.subarray(0, length)))).toBeInstanceOf(MediaError);
  }
  const changed = (at: number, value: number) => {
    const copy = Uint8Array.from(whole);
    copy[at] = value;
    return copy;
  };
  expect((await failure(() => readIvf(changed(0, 0)))).message).toContain("not an IVF file");
  expect((await failure(() => readIvf(changed(4, 9)))).message).toContain("version 9");
  expect((await failure(() => readIvf(changed(6, 31)))).message).toContain("a header of 31 bytes");
  expect((await failure(() => readIvf(changed(35, 0xff)))).message).toContain("ends inside frame 0");
  expect((await failure(() => readIvf(changed(43, 0xff)))).message).toContain("absurd time stamp");
});
