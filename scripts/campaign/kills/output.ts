/** What a program that was signalled has left in its output. */
import { existsSync, readFileSync } from "node:fs";
import type { Counts } from "../campaign.ts";
import { expectPrefix, ivfPackets, webmPackets } from "../packets.ts";
import { exitOf, type ProgramOptions, startProgram } from "../program.ts";

const LIMIT_MS = 20_000;

export interface Output {
  readonly path: string;
  readonly container: "ivf" | "webm";
  /** Packets of a run without faults. */
  readonly expected: readonly Uint8Array[];
  /** What must be equal of each packet. */
  readonly comparable?: (packet: Uint8Array) => Uint8Array;
  /** Whether the program had the time to complete it. */
  readonly completed: boolean;
}

export interface Left {
  /** Whole frames; undefined if there is no file. */
  readonly frames: number | undefined;
  readonly counts: Counts;
}

/** Checks the output, and repairs an IVF. Throws Error if anything whole is lost, or added. */
export async function checkOutput(output: Output, options: ProgramOptions): Promise<Left> {
  const { path, container, expected, completed, comparable } = output;
  if (!existsSync(path)) return { frames: undefined, counts: { "no output yet": 1 } };
  const bytes = readFileSync(path);
  if (bytes.length === 0 && !completed) {
    if (container === "ivf") await runRepair(path, 3, options);
    return { frames: 0, counts: { "an empty output": 1 } };
  }
  if (container === "webm") {
    const { packets, cutBytes } = webmPackets(bytes);
    expectPrefix(packets, expected, comparable);
    if (completed && cutBytes > 0) throw new Error(`the WebM has ${cutBytes} bytes after its last frame`);
    return {
      frames: packets.length,
      counts: { [`${completed ? "complete" : "cut"} WebM, as it should be`]: 1 },
    };
  }
  const { packets, cutBytes, headerFrames } = ivfPackets(bytes);
  expectPrefix(packets, expected, comparable);
  const frames = packets.length;
  const whole = cutBytes === 0 && headerFrames === frames;
  if (completed && !whole)
    throw new Error(
      `the IVF has ${frames} frames and ${cutBytes} bytes, and its header says ${headerFrames}`,
    );
  if (whole) return { frames, counts: { "whole IVF": 1 } };
  const told = await runRepair(path, 0, options);
  if (told.frames !== frames || told.cutBytes !== cutBytes || !told.repaired)
    throw new Error(
      `--repair says ${JSON.stringify(told)} of ${frames} frames, ${cutBytes} bytes, and ${headerFrames} in the header`,
    );
  const after = readFileSync(path);
  const kept = bytes.subarray(32, bytes.length - cutBytes);
  if (ivfPackets(after).headerFrames !== frames || !after.subarray(32).equals(kept))
    throw new Error(`after --repair the file is not its ${frames} frames with their count`);
  return {
    frames,
    counts: {
      "repaired IVF": 1,
      "frames kept by --repair": frames,
      ...(cutBytes > 0 && { "repaired IVF, cut inside a frame": 1 }),
    },
  };
}

async function runRepair(
  path: string,
  expected: number,
  options: ProgramOptions,
): Promise<{ frames: number; cutBytes: number; repaired: boolean }> {
  await using program = startProgram("encode.ts", ["--repair", path, "--json"], {
    ...options,
    stdout: "pipe",
  });
  const text = await new Response(program.stdout).text();
  const { code } = await exitOf(program, "--repair", LIMIT_MS);
  if (code !== expected)
    throw new Error(`--repair has exit code ${code}, not ${expected}: ${text}${program.said}`);
  return JSON.parse(text);
}
