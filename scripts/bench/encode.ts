/** encode.ts with its model beside vpxenc on the same libvpx: CBR, speed 8. */
import { join } from "node:path";
import { bunProgram } from "../../src/os/bun-program.ts";
import { type BenchCase, type Comparison, type Metric, program } from "./case.ts";
import { decodeStreet, testPicture } from "./clip.ts";
import { wholeCommand } from "./measure.ts";

interface EncodeCase {
  readonly name: string;
  readonly about: string;
  readonly clip: (folder: string) => Promise<string>;
  readonly bitrate: number;
  readonly threads?: number;
  readonly atMost: number;
}

const cases: readonly EncodeCase[] = [
  {
    name: "encode",
    about: "54 frames of 1080p",
    clip: (folder) => decodeStreet(folder),
    bitrate: 4000,
    atMost: 1,
  },
  {
    name: "encode-540",
    about: "540 frames of 1080p",
    clip: (folder) => decodeStreet(folder, 10),
    bitrate: 4000,
    atMost: 0.99,
  },
  {
    name: "encode-threads",
    about: "54 frames of 1080p with 2 codec threads",
    clip: (folder) => decodeStreet(folder),
    bitrate: 4000,
    threads: 2,
    atMost: 1,
  },
  {
    name: "encode-180p",
    about: "1,000 frames of 320x180",
    clip: (folder) => testPicture(folder, "320x180", 1000),
    bitrate: 300,
    atMost: 1.05,
  },
  {
    name: "encode-64",
    about: "10,000 frames of 64x64",
    clip: (folder) => testPicture(folder, "64x64", 10_000),
    bitrate: 100,
    atMost: 1.1,
  },
];

const limit = "libvpx's own time";
const metricsOf = (atMost: number): readonly Metric[] => [
  { name: "time", unit: "s", bounds: "ratio", atMost, limit },
  { name: "CPU", unit: "s", bounds: "ratio", atMost: 1.08, limit },
  { name: "memory", unit: "MiB", bounds: "ratio", atMost: 1.25, limit: "libvpx's memory" },
];

export const encodeCases: readonly BenchCase[] = cases.map(({ name, about, atMost, ...one }) => ({
  name,
  about: `${about}, from y4m to IVF by DMA`,
  theirs: "vpxenc",
  metrics: metricsOf(atMost),
  prepare: (folder) => prepare(folder, one),
}));

async function prepare(
  folder: string,
  { clip, bitrate, threads = 1 }: Pick<EncodeCase, "clip" | "bitrate" | "threads">,
): Promise<Comparison> {
  const vpxenc = vpxencCommand(bitrate);
  const input = await clip(folder);
  const [ours, theirs] = [join(folder, "ours.ivf"), join(folder, "theirs.ivf")];
  return {
    ours: (root) =>
      wholeCommand([
        ...bunProgram(join(root, "scripts/encode.ts")),
        ...[
          input,
          "-o",
          ours,
          "--rc=cbr",
          `--bitrate=${bitrate}`,
          "--path=dma",
          `--threads=${threads}`,
          "--quiet",
        ],
      ]),
    theirs: () => wholeCommand([...vpxenc, "--ivf", `--threads=${threads}`, "-o", theirs, input]),
    check: () => sameBytes(ours, theirs),
  };
}

/** vpxenc with what every encoding here has: the settings that encode.ts begins with, and CBR. */
export function vpxencCommand(bitrate: number): string[] {
  const settings = [
    "--rt",
    "--lag-in-frames=0",
    "--cpu-used=8",
    "--end-usage=cbr",
    `--target-bitrate=${bitrate}`,
  ];
  return [program("vpxenc", "vpx-tools"), "--quiet", ...settings];
}

async function sameBytes(ours: string, theirs: string): Promise<void> {
  const [a, b] = await Promise.all([Bun.file(ours).bytes(), Bun.file(theirs).bytes()]);
  if (a.byteLength === 0 || !Buffer.from(a.buffer).equals(b))
    throw new Error("the two files differ, so the times can't be compared");
}
