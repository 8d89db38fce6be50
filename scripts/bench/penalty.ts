/** Measures the cost of an emulated guest: the same clip, settings and program on the host and in both guests. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type GuestResult, runGuest } from "../../src/guest/run-guest.ts";
import { serveModel } from "../../src/model/hosting/served.ts";
import { bunProgram } from "../../src/os/bun-program.ts";
import type { EncodeReport, Portions } from "../../src/vp9/encoder/report.ts";
import "../../src/schemes.ts";
import { interrupted } from "../cli/interrupt.ts";
import { decodeStreet } from "./clip.ts";
import { framePortions, type PenaltyResult, type Side, type SideResult, sides } from "./penalty-result.ts";
import { type Spread, spread, spreadText } from "./spread.ts";

const ENCODE = fileURLToPath(new URL("../encode.ts", import.meta.url));
/** Repetitions of the 54 frames; enough to measure the pace. */
const TIMES = 4;
const SETTINGS = ["--rc=cbr", "--bitrate=4000", "--threads=1", "--path=dma", "--json"];
/** Bound of the ratio. */
const AT_MOST = 1.1;
/** Time limit of one side. */
const TIMEOUT_MS = 180_000;

interface Measured extends EncodeReport {
  readonly guest?: GuestResult;
}

export const penalty = {
  name: "penalty",
  about: "1080p by DMA in an emulated aarch64 guest, in steady state",
  theirs: "the host",
} as const;

/** Measures, and prints each side's figures. Throws Error saying what is missing and how to get it, or what differed. */
export async function measurePenalty(rounds: number): Promise<PenaltyResult> {
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-bench-"));
  try {
    const clip = await decodeStreet(folder, TIMES);
    const measured: Record<Side, Measured[]> = { host: [], x86_64: [], aarch64: [] };
    for (let round = 0; round <= rounds; round++) {
      const outputs: Buffer[] = [];
      for (const offset of sides.keys()) {
        // In turn, so that none always has the warmer machine.
        const side = sides[(round + offset) % sides.length]!;
        const output = join(folder, "out.ivf");
        const report = side === "host" ? await onHost(clip, output) : await inGuest(side, clip, output);
        outputs.push(readFileSync(output));
        if (round > 0) measured[side].push(report);
        rmSync(output);
      }
      if (!outputs.every((bytes) => bytes.length > 0 && bytes.equals(outputs[0]!)))
        throw new Error("the files differ, so the times can't be compared");
      if (round > 0) printRound(round, measured);
    }
    const results = sides.map((side) => summarize(side, measured[side], measured.host));
    const [host, guest] = [results[0]!, results.at(-1)!];
    const result: PenaltyResult = {
      ...penalty,
      rounds,
      metrics: [
        {
          name: "a frame",
          unit: "ms",
          bounds: "ratio",
          atMost: AT_MOST,
          limit: "the codec's own time",
          ours: guest.steadyFrameMs,
          theirs: host.steadyFrameMs,
          ratio: guest.steadyRatio,
          within: guest.steadyRatio.median <= AT_MOST,
        },
      ],
      frames: measured.host[0]!.frames,
      settings: SETTINGS,
      sides: results,
    };
    print(result);
    return result;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** As in the guest, the model runs before the clock starts. On every side the host has the files in its cache. */
async function onHost(clip: string, output: string): Promise<Measured> {
  await using model = await serveModel("model:vp9");
  const words = [...bunProgram(ENCODE), clip, ...SETTINGS, `--device=${model.spec}`, "-o", output];
  const limits = { timeout: TIMEOUT_MS, signal: interrupted };
  const child = Bun.spawn(words, { stdio: ["ignore", "pipe", "pipe"], ...limits });
  const [text, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`encoding on the host failed: ${errors}${text}`);
  return JSON.parse(text) as EncodeReport;
}

async function inGuest(arch: "x86_64" | "aarch64", clip: string, output: string): Promise<Measured> {
  const [from, to] = [basename(clip), basename(output)];
  const script = ["bun run bind.ts 00:01.0 >&2", `bun run encode.ts ${from} ${SETTINGS.join(" ")} -o ${to}`];
  const said = { stdout: "", stderr: "" };
  const keep = (stream: keyof typeof said) => (bytes: Uint8Array) => {
    said[stream] += new TextDecoder().decode(bytes);
  };
  const guest = await runGuest({
    arch,
    hugepages: 64,
    devices: ["model:vp9"],
    inputs: [clip],
    outputs: [output],
    command: ["sh", "-ec", script.join("\n")],
    timeoutMs: TIMEOUT_MS,
    signal: interrupted,
    onStdout: keep("stdout"),
    onStderr: keep("stderr"),
  });
  if (guest.exitCode !== 0)
    throw new Error(`encoding in the ${arch} guest failed: ${said.stderr}${said.stdout}`);
  return { ...(JSON.parse(said.stdout) as EncodeReport), guest };
}

function summarize(name: Side, runs: readonly Measured[], host: readonly Measured[]): SideResult {
  const over = (value: (run: Measured) => number) => spread(runs.map(value));
  const ratio = (value: (run: Measured) => number) =>
    spread(runs.map((run, round) => value(run) / value(host[round]!)));
  const perFrame = (portion: keyof Portions) => over((run) => run.portionsMs[portion] / run.frames);
  return {
    name,
    accelerator: runs[0]!.guest?.accelerator,
    kernel: runs[0]!.guest?.kernel,
    steadyFrameMs: over((run) => run.steadyFrameMs),
    steadyRatio: ratio((run) => run.steadyFrameMs),
    wallRatio: ratio((run) => run.wallMs),
    portions: {
      read: perFrame("read"),
      submit: perFrame("submit"),
      wait: perFrame("wait"),
      collect: perFrame("collect"),
      write: perFrame("write"),
    },
    codec: over((run) => run.deviceMs / run.frames),
    startMs: over((run) => run.portionsMs.start),
    finishMs: over((run) => run.portionsMs.finish),
    wallMs: over((run) => run.wallMs),
  };
}

function printRound(round: number, measured: Record<Side, Measured[]>): void {
  const steady = sides.map((side) => `${side} ${measured[side].at(-1)!.steadyFrameMs.toFixed(1)}`);
  console.log(`  round ${round}, ms a frame: ${steady.join(", ")}`);
}

function print({ sides, frames }: PenaltyResult): void {
  const titles = sides.map(({ name, accelerator }) => (accelerator ? `${name} guest, ${accelerator}` : name));
  const row = (title: string, cells: readonly string[]) =>
    console.log(`  ${title.padEnd(24)}${cells.map((cell) => cell.padEnd(24)).join("")}`.trimEnd());
  const rows = (title: string, value: (side: SideResult) => Spread, digits: number) =>
    row(
      title,
      sides.map((side) => spreadText(value(side), digits)),
    );
  row(`${frames} frames`, titles);
  rows("ms a frame, steady", (side) => side.steadyFrameMs, 1);
  rows("  to the host's", (side) => side.steadyRatio, 3);
  for (const portion of framePortions) rows(`  ${portion}`, (side) => side.portions[portion], 2);
  rows("the codec's own", (side) => side.codec, 1);
  rows("start, ms", (side) => side.startMs, 0);
  rows("finish, ms", (side) => side.finishMs, 0);
  rows("in all, ms", (side) => side.wallMs, 0);
  rows("  to the host's", (side) => side.wallRatio, 3);
}
