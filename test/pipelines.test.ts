/** docs/pipelines.md: every command that it shows, with ffmpeg and a virtual screen. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { blocksOf, comparable, openCheckout, type Step, stepsOf } from "./document.ts";
import { run } from "./media/rig.ts";

setDefaultTimeout(120_000);

const page = readFileSync(join(resolve(import.meta.dir, ".."), "docs/pipelines.md"), "utf8");
const steps = stepsOf(page);
const checkout = openCheckout();
afterAll(() => checkout[Symbol.dispose]());

/** An X server on a display that is free, and its name. */
let display: string;
let server: Bun.Subprocess<"ignore", "pipe", "ignore">;
beforeAll(async () => {
  const screen = ["-screen", "0", "640x360x24", "-nolisten", "tcp"];
  server = Bun.spawn(["Xvfb", "-displayfd", "1", ...screen], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const { value } = await server.stdout.getReader().read();
  if (value === undefined) throw new Error("Xvfb did not start; test/setup.sh installs it");
  display = `:${new TextDecoder().decode(value).trim()}`;
});
afterAll(async () => {
  server.kill();
  await server.exited;
});

/** Also without the sizes and qualities, which differ with libvpx's release, and x264's. */
const shape = (output: string) =>
  comparable(output).map((line) =>
    line
      .replace(/\d+ bytes/, "BYTES")
      .replace(/[\d.]+ dB$/, "DB")
      .replace(/\d+ kbit\/s$/, "RATE")
      .replace(/after \d+ frames/, "after FRAMES"),
  );
const printed = new Map<string, string>();
/** The output of the step with a part of a command. */
const outputOf = (part: string) => [...printed].find(([command]) => command.includes(part))?.[1] ?? "";

test("the page says which commands are not run, and why", () => {
  const [pipefail, camera, ...more] = blocksOf(page, "sh");
  expect(more).toEqual([]);
  expect(pipefail).toBe("set -o pipefail\n");
  expect(camera).toContain("-f v4l2");
  expect(page).toContain("The tests can't run these two commands, which need a camera:\n\n```sh\nv4l2-ctl");
  expect(steps).toHaveLength(18);
});

test("its script is the one that it runs", () => {
  const [script, ...more] = blocksOf(page, "bash");
  expect(more).toEqual([]);
  writeFileSync(checkout.file("per-title.sh"), script!);
});

test.each(steps.map((step): [string, Step] => [step.command, step]))("%s", async (command, { shown }) => {
  const output = await checkout.bash(command, { DISPLAY: display, NO_COLOR: "1" });
  printed.set(command, output);
  expect(shape(output)).toEqual(shape(shown));
});

test("the files that they leave are whole VP9", () => {
  const frames = (name: string) =>
    run(
      ...["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v"],
      ...["-show_entries", "stream=codec_name,nb_read_frames", "-of", "csv=p=0", checkout.file(name)],
    )
      .toString()
      .trim();
  for (const name of ["out.webm", "raw.webm", "out.mp4", "direct.mp4", "call.ivf", "title.mp4"])
    expect(`${name} ${frames(name)}`).toBe(`${name} vp9,75`);
  expect(frames("camera.webm")).toBe("vp9,60");
  expect(frames("screen.webm")).toBe("vp9,50");
  // NV12 and y4m are the same pictures.
  const [raw, y4m] = ["raw.webm", "out.webm"].map((name) => readFileSync(checkout.file(name)));
  expect(raw!.equals(y4m!)).toBe(true);
});

test("a cut input ends in a shorter file, and a failure", () => {
  const count = Number(/^failed, after (\d+) frames$/m.exec(outputOf("-xerror"))?.[1]);
  expect(count).toBeGreaterThan(0);
  expect(count).toBeLessThan(75);
});

test("the calls' rate holds in each second", () => {
  const rates = [...outputOf("awk").matchAll(/second \d: (\d+) kbit\/s/g)].map(([, rate]) => Number(rate));
  expect(rates).toHaveLength(3);
  for (const rate of rates) {
    expect(rate).toBeGreaterThan(450);
    expect(rate).toBeLessThan(750);
  }
});

test("the search ends at the first level that has the quality", () => {
  const lines = [...outputOf("per-title.sh").matchAll(/^cq \d+: (\d+) bytes, ([\d.]+) dB$/gm)];
  const reached = lines.map(([, , psnr]) => Number(psnr) >= 45.5);
  expect(reached).toEqual(lines.map((_, at) => at === lines.length - 1));
  const bytes = lines.map(([, sizeBytes]) => Number(sizeBytes));
  expect(bytes).toEqual(bytes.toSorted((a, b) => a - b));
});

test("a terminal shows the progress lines of the page, of a file and of a pipe", async () => {
  const lines = page.split("\n").filter((line) => line.startsWith("frame 31"));
  expect(lines.map((line) => line.replace(/\d+(\.\d+)?/g, "0"))).toEqual([
    "frame 0/0, 0 fps, 0 kbit/s, 0:0 left",
    "frame 0, 0 fps, 0 kbit/s",
  ]);
  // The sequence that clears the rest of the line ends each.
  const onTerminal = async (line: string) =>
    (await checkout.bash(`script -qec '${line}' /dev/null`)).replaceAll("\x1b[K", "|");
  const options = "--bitrate 600 -o shown.webm";
  expect(await onTerminal(`bun run encode.ts call.y4m ${options}`)).toMatch(
    /\rframe \d+\/75, [\d.]+ fps, \d+ kbit\/s, \d+:\d+ left\|/,
  );
  expect(await onTerminal(`cat call.y4m | bun run encode.ts - ${options}`)).toMatch(
    /\rframe \d+, [\d.]+ fps, \d+ kbit\/s\|/,
  );
});
