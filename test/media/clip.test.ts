import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { builtInClip } from "../../src/media/clip.ts";
import { frameSizeBytes } from "../../src/media/video.ts";
import { outcome, tempFolder } from "./rig.ts";

function frames(count?: number): Uint8Array[] {
  using clip = builtInClip(count);
  const all: Uint8Array[] = [];
  for (;;) {
    const frame = new Uint8Array(frameSizeBytes(clip.video));
    if (!clip.read(frame)) return all;
    all.push(frame);
  }
}

test("the built-in clip is 50 frames of 320x180 at 25 a second, or as many as are asked for", () => {
  using clip = builtInClip();
  expect(clip.name).toBe("built-in clip");
  expect(clip.video).toEqual({
    width: 320,
    height: 180,
    format: "i420",
    fps: { num: 25, den: 1 },
    timebase: { num: 1, den: 25 },
  });
  expect(clip.frameCount).toBe(50);
  expect(frames().length).toBe(50);
  expect(frames(3).length).toBe(3);
});

test("the built-in clip has the same bytes every time", () => {
  const md5 = new Bun.CryptoHasher("md5");
  for (const frame of frames(10)) md5.update(frame);
  expect(md5.digest("hex")).toBe("663e12657ab254fe401c6b7432ad5052");
});

test("the built-in clip moves, and is neither flat nor too hard to encode", () => {
  using folder = tempFolder();
  const raw = folder.file("clip.yuv");
  const all = frames();
  expect(new Set(all.map((frame) => Bun.hash(frame))).size).toBe(50);
  writeFileSync(raw, Buffer.concat(all));
  const command =
    "vpxenc --rt --lag-in-frames=0 --cpu-used=8 --end-usage=cbr --target-bitrate=500 --i420 -w 320 -h 180 --fps=25/1 --psnr --ivf";
  const { exitCode, stderr } = outcome([...command.split(" "), "-o", folder.file("clip.ivf"), raw]);
  expect(exitCode).toBe(0);
  const psnr = Number(/PSNR \(Overall\/Avg\/Y\/U\/V\) ([\d.]+)/.exec(stderr)?.[1]);
  expect(psnr).toBeGreaterThan(28);
  expect(psnr).toBeLessThan(45);
});
