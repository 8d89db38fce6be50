/** The story: the encoder's model is a PCI device of a guest, whose stock kernel knows nothing of it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeStreet } from "../../scripts/bench/clip.ts";
import type { GuestOptions } from "../../src/guest/options.ts";
import { runGuest } from "../../src/guest/run-guest.ts";
import "../../src/schemes.ts";

const TIMEOUT_MS = 300_000;
const media = join(import.meta.dir, "../media");
const small = join(media, "CiscoVT2people_320x192_12fps.yuv");
const program = join(import.meta.dir, "../../scripts/encode.ts");

let folder: string;
let large: string;

async function run(...command: string[]): Promise<void> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
  expect({ command, exitCode: await child.exited }).toEqual({ command, exitCode: 0 });
}

/** What both sides are told of each clip, and vpxenc in its own words. */
const clips = {
  small: {
    input: "CiscoVT2people_320x192_12fps.yuv",
    settings: ["--size", "320x192", "--fps", "12", "--rc", "cbr", "--bitrate", "500"],
    vpxenc: [
      ...["--i420", "--width=320", "--height=192", "--fps=12/1"],
      ...["--end-usage=cbr", "--target-bitrate=500"],
    ],
  },
  large: {
    input: "street.y4m",
    settings: ["--rc", "vbr", "--bitrate", "4000"],
    vpxenc: ["--end-usage=vbr", "--target-bitrate=4000"],
  },
} as const;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "vfiokit-story-"));
  large = await decodeStreet(folder);
  for (const [name, { input, settings, vpxenc }] of Object.entries(clips)) {
    const source = input === "street.y4m" ? large : small;
    const [ours, theirs] = [`host-${name}.ivf`, `vpxenc-${name}.ivf`].map((file) => join(folder, file));
    const words = [...settings, "--device", "model:vp9", "--quiet", "-o", ours!];
    await run(process.execPath, program, source, ...words);
    const common = ["--rt", "--lag-in-frames=0", "--cpu-used=8", "--threads=1", "--ivf", "--quiet"];
    await run("vpxenc", ...common, ...vpxenc, "-o", theirs!, source);
    expect({ name, same: readFileSync(ours!).equals(readFileSync(theirs!)) }).toEqual({ name, same: true });
  }
}, TIMEOUT_MS);
afterAll(() => rmSync(folder, { recursive: true }), TIMEOUT_MS);

/** Runs a script in a guest with the encoder; gives what it printed, and the files that it left. */
async function inGuest(options: Pick<GuestOptions, "arch" | "iommu">, script: string[], outputs: string[]) {
  const left = join(folder, `${options.arch}-${options.iommu}`);
  mkdirSync(left);
  const steps = join(folder, "steps.sh");
  writeFileSync(steps, `${script.join("\n")}\n`);
  let text = "";
  const collect = (bytes: Uint8Array) => {
    text += new TextDecoder().decode(bytes);
  };
  const { exitCode } = await runGuest({
    ...options,
    memoryMib: 2048,
    hugepages: 64,
    devices: ["model:vp9"],
    inputs: [steps, small, large],
    outputs: outputs.map((name) => join(left, name)),
    command: ["sh", "-e", "steps.sh"],
    onStdout: collect,
    onStderr: collect,
    timeoutMs: TIMEOUT_MS - 10_000,
  });
  console.log(`${options.arch}, IOMMU ${options.iommu ? "on" : "off"}:\n${text}`);
  expect({ exitCode, text: exitCode === 0 ? "" : text }).toEqual({ exitCode: 0, text: "" });
  return { text, file: (name: string) => readFileSync(join(left, name)) };
}

const encode = (clip: keyof typeof clips, output: string, ...more: string[]) =>
  [
    ...["bun run encode.ts", clips[clip].input, ...clips[clip].settings],
    ...[...more, "-o", output, "--json"],
  ].join(" ");

describe.each(["x86_64", "aarch64"] as const)("in an %s guest", (arch) => {
  test(
    "through VFIO, by DMA and through the window, the bytes are the host's",
    async () => {
      const runs = [
        { clip: "small", path: "dma" },
        { clip: "small", path: "window" },
        { clip: "large", path: "dma" },
        { clip: "large", path: "window" },
      ] as const;
      const names = runs.map(({ clip, path }) => `${clip}-${path}.ivf`);
      const { text, file } = await inGuest(
        { arch, iommu: true },
        [
          "bun run bind.ts 00:01.0",
          ...runs.map(({ clip, path }, i) => encode(clip, names[i]!, "--path", path)),
          // Nobody chooses a way here.
          encode("small", "small-found.ivf", "--quiet"),
        ],
        [...names, "small-found.ivf"],
      );
      for (const [i, { clip }] of runs.entries())
        expect({
          name: names[i],
          same: file(names[i]!).equals(readFileSync(join(folder, `host-${clip}.ivf`))),
        }).toEqual({ name: names[i], same: true });
      expect(file("small-found.ivf").equals(readFileSync(join(folder, "host-small.ivf")))).toBe(true);
      const reports = [...text.matchAll(/^\{.*\}$/gm)].map(
        ([line]) => JSON.parse(line) as Record<string, unknown>,
      );
      expect(reports.map(({ device, path, frames }) => ({ device, path, frames }))).toEqual([
        { device: "0000:00:01.0", path: "dma", frames: 9 },
        { device: "0000:00:01.0", path: "window", frames: 9 },
        { device: "0000:00:01.0", path: "dma", frames: 54 },
        { device: "0000:00:01.0", path: "window", frames: 54 },
        { device: "0000:00:01.0", path: "dma", frames: 9 },
      ]);
    },
    TIMEOUT_MS,
  );

  test(
    "through sysfs alone, with no IOMMU, no VFIO and no interrupt, the window is taken, or DMA by physical addresses, and the bytes are the host's",
    async () => {
      const { text, file } = await inGuest(
        { arch, iommu: false },
        [
          encode("small", "small.ivf"),
          encode("large", "large.ivf").replace(" --json", ""),
          "bun run bind.ts 00:01.0 --driver uio_pci_generic",
          encode("large", "physical.ivf", "--dma physical").replace(" --json", ""),
        ],
        ["small.ivf", "large.ivf", "physical.ivf"],
      );
      expect(file("small.ivf").equals(readFileSync(join(folder, "host-small.ivf")))).toBe(true);
      expect(file("large.ivf").equals(readFileSync(join(folder, "host-large.ivf")))).toBe(true);
      expect(text).toContain('"path":"window"');
      expect(text).toMatch(
        /found a card, 0000:00:01\.0; using it \(libvpx [\d.]+, frames through its window; with a device that you trust with all memory, --dma physical works without an IOMMU\)/,
      );
      expect(file("physical.ivf").equals(readFileSync(join(folder, "host-large.ivf")))).toBe(true);
      expect(text).toMatch(
        /using it \(libvpx [\d.]+\)\n.*DMA by physical addresses: the device can write to any memory of this machine/,
      );
    },
    TIMEOUT_MS,
  );
});
