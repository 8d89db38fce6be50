/** encode.ts's WebM in Chromium's player: its length, shape and range, and the right frame wherever it seeks. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { tempFolder } from "../media/rig.ts";
import { encodeJson, shell } from "../scripts/rig.ts";
import { inChromium } from "./chromium.ts";
import type { Played } from "./played.ts";

setDefaultTimeout(90_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

const WIDTH = 288;
const HEIGHT = 96;
const GREY = 60;

/** Frames with their number as eight blocks, the highest bit first, and a ninth of grey. */
function writeNumbered(path: string, rate: string, frames: number): void {
  const header = `YUV4MPEG2 W${WIDTH} H${HEIGHT} F${rate} Ip A4:3 C420jpeg XCOLORRANGE=FULL\n`;
  const row = (number: number) =>
    Buffer.concat(
      Array.from({ length: 9 }, (_, i) =>
        Buffer.alloc(WIDTH / 9, i === 8 ? GREY : (number >> (7 - i)) & 1 ? 255 : 0),
      ),
    );
  const frame = (number: number) => [
    Buffer.from("FRAME\n"),
    ...Array<Buffer>(HEIGHT).fill(row(number)),
    Buffer.alloc((WIDTH * HEIGHT) / 2, 128),
  ];
  const numbered = Array.from({ length: frames }, (_, number) => frame(number)).flat();
  writeFileSync(path, Buffer.concat([Buffer.from(header), ...numbered]));
}

describe.each([
  ["25:1", 25, 125],
  ["30000:1001", 30000 / 1001, 150],
])("%s frames a second", (rate, fps, frames) => {
  const input = folder.file(`${frames}.y4m`);
  writeNumbered(input, rate, frames);
  /** WebM's times are whole milliseconds. */
  const timeOf = (frame: number) => Math.round((frame * 1000) / fps) / 1000;
  const frameAt = (time: number) =>
    Array.from({ length: frames }, (_, i) => i).findLast((frame) => timeOf(frame) <= time)!;
  // Chromium uses the range of a WebM only if the WebM names its color space, too.
  const settings = [input, "--gop", "40", "--force-key", "5,7", "--color-space", "bt709"];

  function expectShown({ size, sought, frames: shown }: Played): void {
    expect(size).toEqual([(WIDTH * 4) / 3, HEIGHT]);
    expect(sought.length).toBeGreaterThan(4);
    expect(sought.map(({ time, frame }) => [time, frame])).toEqual(
      sought.map(({ time }) => [time, frameAt(time)]),
    );
    for (const { grey } of sought) expect(Math.abs(grey - GREY)).toBeLessThanOrEqual(3);
    expect(shown.length).toBeGreaterThan(5); // a busy machine's player leaves out frames
    expect(shown).toEqual(shown.toSorted((a, b) => a - b));
    expect(shown.at(-1)).toBe(frames - 1);
  }

  test("a file plays to its end and shows the right frame wherever it seeks", async () => {
    const output = folder.file(`${frames}.webm`);
    await encodeJson(...settings, "-o", output);
    const played = await inChromium<Played>("play.ts", { "clip.webm": output });
    expect(played.duration).toBeCloseTo(frames / fps, 2);
    expectShown(played);
  });

  test("a WebM from a pipe does, too", async () => {
    const output = folder.file(`pipe-${frames}.webm`);
    const line = 'f=$1; shift; bun run encode.ts "$@" --container webm -o - | cat > "$f"';
    expect((await shell(line, output, ...settings)).exitCode).toBe(0);
    const played = await inChromium<Played>("play.ts", { "clip.webm": output });
    expectShown(played);
  });
});
