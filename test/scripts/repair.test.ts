/** encode.ts --repair: what docs/encode.md shows, on a file whose encoding was killed, and what it refuses. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, copyFileSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { comparable, openCheckout, stepsOf } from "../document.ts";
import { readIvf } from "../media/read-ivf.ts";
import { decodableFrames, tempFolder } from "../media/rig.ts";
import { encode, ROOT, sizeOf, startScript, until } from "./rig.ts";

setDefaultTimeout(60_000);

const folder = tempFolder();
const checkout = openCheckout();
afterAll(() => {
  folder[Symbol.dispose]();
  checkout[Symbol.dispose]();
});

const killed = folder.file("killed.ivf");

/** An encoding without end, killed in its middle. */
async function kill(): Promise<Buffer> {
  rmSync(killed, { force: true });
  const endless = ["/dev/zero", "--size", "64x64", "--device", "model:vp9", "--quiet", "-o", killed];
  const run = startScript("encode.ts", ...endless);
  await until(() => sizeOf(killed) > 2000, "some frames");
  run.signalGroup("SIGKILL");
  await run.ended();
  return readFileSync(killed);
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("docs/encode.md shows a repair, and that a whole file needs none", async () => {
  const steps = stepsOf(readFileSync(join(ROOT, "docs/encode.md"), "utf8"));
  const shown = steps.filter(({ command }) => command.includes("killed.ivf"));
  expect(shown.length).toBe(3);
  for (const { command, shown: lines } of shown)
    expect(comparable(await checkout.bash(command))).toEqual(comparable(lines));
  expect(decodableFrames(checkout.file("killed.ivf"))).toBe(7);
});

test("a killed encoding is repaired: it says what it did, --json too, and every frame decodes", async () => {
  const before = await kill();
  const frames = decodableFrames(killed);
  copyFileSync(killed, folder.file("other.ivf"));
  const { exitCode, stdout, stderr } = await encode("--repair", killed);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  const { frameCount, packets } = readIvf(readFileSync(killed));
  expect([frameCount, packets.length]).toEqual([frames, frames]);
  expect(text(stdout)).toStartWith(`${killed}: ${frames} whole frames, `);
  expect(text(stdout)).toEndWith("the header said 0\n");

  const json = await encode("--repair", folder.file("other.ivf"), "--json");
  expect(JSON.parse(text(json.stdout))).toEqual({
    ...{ file: folder.file("other.ivf"), frames, headerFrames: 0, repaired: true },
    cutBytes: before.length - sizeOf(killed),
  });
  const { mtimeMs } = statSync(killed);
  const again = await encode("--repair", killed, "--json");
  expect(JSON.parse(text(again.stdout))).toMatchObject({ frames, headerFrames: frames, repaired: false });
  expect(text((await encode("--repair", killed)).stdout)).toBe(
    `${killed}: ${frames} whole frames, nothing to repair\n`,
  );
  expect((await encode("--repair", killed, "--quiet")).stdout.length).toBe(0);
  expect(statSync(killed).mtimeMs).toBe(mtimeMs);
});

test("a file that another process has open is not repaired", async () => {
  const before = await kill();
  const fd = openSync(killed, "r");
  const { exitCode, stderr } = await encode("--repair", killed);
  closeSync(fd);
  expect(exitCode).toBe(3);
  expect(stderr).toContain(`is open in process ${process.pid} (bun`);
  expect(readFileSync(killed).equals(before)).toBe(true);
});

test("an unfinished file that is overwritten gets a note, a finished one does not", async () => {
  await kill();
  const frames = decodableFrames(killed);
  const first = await encode("--frames", "2", "-o", killed);
  expect([first.exitCode, first.stderr]).toEqual([
    0,
    expect.stringContaining(
      `"${killed}" was there, of an encoding that was not finished: ${frames} frames, which --repair "${killed}" would have kept`,
    ),
  ]);
  expect((await encode("--frames", "2", "-o", killed)).stderr).not.toContain("--repair");
});

test.each([
  [["x.ivf", "-o", "y.ivf"], 2, "leave --output out"],
  [["x.ivf", "in.y4m"], 2, 'leave "in.y4m" out'],
  [["x.ivf", "--bitrate", "500"], 2, "leave --bitrate out"],
  [["x.ivf", "--rc", "cbr"], 2, "leave --rc out"],
  [["/nonexistent.ivf"], 3, 'cannot open "/nonexistent.ivf": ENOENT'],
  [["/dev/zero"], 3, "is not a regular file"],
  [["package.json"], 3, "is not an IVF file"],
] as const)("--repair %p is refused with exit code %d", async (words, expected, message) => {
  const { exitCode, stderr } = await encode("--repair", ...words);
  expect(exitCode).toBe(expected);
  expect(stderr).toContain(message);
  const json = await encode("--repair", ...words, "--json");
  expect([json.exitCode, json.stderr]).toEqual([expected, ""]);
  expect(JSON.parse(text(json.stdout))).toMatchObject({
    ...{ file: words[0], frames: null, repaired: false },
    error: expect.stringContaining(message),
  });
});
