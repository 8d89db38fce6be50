/** encode.ts's options, as numbers, lists and choices. */

import { type RawFormat, rawFormats } from "../../src/media/raw-format.ts";
import {
  checkFps,
  checkPixelAspect,
  checkSize,
  type MediaError,
  type Rational,
} from "../../src/media/video.ts";
import { type ContainerName, containerNames } from "../../src/media/writer.ts";
import { registers } from "../../src/vp9/contract/registers.ts";
import type { TransferPath } from "../../src/vp9/driver/stream-memory.ts";
import { UsageError } from "../cli/usage-error.ts";
import { whole } from "./numbers.ts";
import { readSettings } from "./settings.ts";

const bitrateModes = {
  cbr: "constant",
  vbr: "variable",
  cq: "quantizer",
  q: "constant-quality",
} as const;

function fraction(text: string | undefined): Rational | undefined {
  if (text === undefined) return undefined;
  const [, num, den = "1"] = /^(\d+)(?:\/(\d+))?$/.exec(text) ?? [];
  if (!Number(num) || !Number(den))
    throw new UsageError(`--fps ${text}: it must be N or N/D, such as 25 or 30000/1001`);
  const fps = { num: Number(num), den: Number(den) };
  checkFps(fps, "--fps");
  return fps;
}

function dimensions(text: string | undefined): { width: number; height: number } | undefined {
  if (text === undefined) return undefined;
  const [, width, height] = /^(\d+)x(\d+)$/.exec(text) ?? [];
  if (!width || !height) throw new UsageError(`--size ${text}: it must be WxH, such as 1920x1080`);
  const size = { width: Number(width), height: Number(height) };
  checkSize(size, "--size");
  return size;
}

/** Choices of --format. */
export const formatNames = Object.keys(rawFormats) as RawFormat[];

function pixelAspect(text: string | undefined): Rational | undefined {
  if (text === undefined) return undefined;
  const [, num, den] = /^(\d+):(\d+)$/.exec(text) ?? [];
  if (!num || !den)
    throw new UsageError(
      `--pixel-aspect ${text}: it must be N:D, a pixel's width and height, such as 16:11 (1:1 is square)`,
    );
  const aspect = { num: Number(num), den: Number(den) };
  checkPixelAspect(aspect, "--pixel-aspect");
  return aspect;
}

const missingFlags = {
  size: "--size WxH",
  fps: "--fps N[/D]",
  format: "--format FORMAT",
  container: `--container ${containerNames.join("|")}`,
};

/** What went wrong, and the options that say what an input or a file's name does not. */
export function wordMediaError(error: MediaError): string {
  const flags = error.missing.map((name) => missingFlags[name]);
  return flags.length > 0 ? `${error.message}: ${flags.join(" ")}` : error.message;
}

function frameList(text: string | undefined): ReadonlySet<number> {
  return new Set(
    (text ?? "")
      .split(",")
      .filter(Boolean)
      .map((part) => whole("force-key", part, 0, 2 ** 31)!),
  );
}

/** Options that say what the input is. */
export const inputOptions = ["size", "fps", "format", "range", "pixel-aspect"] as const;

type Arguments = Readonly<Record<string, unknown>> & {
  readonly [name in "rc" | "speed" | "threads" | "timeout" | "recover-timeout"]: string;
} & {
  readonly [name in
    | "in-flight"
    | "recover"
    | "bitrate"
    | "cq-level"
    | "gop"
    | "frames"
    | "skip"
    | "force-key"
    | "container"]?: string | undefined;
} & {
  readonly [name in (typeof inputOptions)[number]]?: string | undefined;
};

/** Every option that is a number, a list or a choice. Throws UsageError, MediaError. */
export function readOptions(args: Arguments) {
  const bitrateKbps = whole("bitrate", args.bitrate, ...registers.BITRATE.range);
  const config = {
    bitrateMode: bitrateModes[args.rc as keyof typeof bitrateModes],
    bitrate: bitrateKbps === undefined ? undefined : bitrateKbps * 1000,
    cqLevel: whole("cq-level", args["cq-level"], ...registers.CQ_LEVEL.range),
    gop: whole("gop", args.gop, ...registers.GOP.range),
    speed: whole("speed", args.speed, ...registers.SPEED.range),
    threads: whole("threads", args.threads, ...registers.THREADS.range),
    ...readSettings(args),
  };
  const frames = whole("frames", args.frames, 1, 2 ** 31);
  const skip = whole("skip", args.skip, 0, 2 ** 31) ?? 0;
  if (frames !== undefined && frames <= skip)
    throw new UsageError(
      `--frames ${frames} --skip ${skip}: no frame is left; --frames counts the skipped ones, too`,
    );
  return {
    config,
    container: args.container as ContainerName | undefined,
    path: args.path as TransferPath | undefined,
    inFlight: whole("in-flight", args["in-flight"], 1, 1023),
    recover: whole("recover", args.recover, 0, 1000),
    recoverTimeoutMs: whole("recover-timeout", args["recover-timeout"], 0, 86_400)! * 1000,
    timeoutMs: whole("timeout", args.timeout, 1, 86_400)! * 1000,
    frames,
    skip,
    forceKey: frameList(args["force-key"]),
    rawVideo: {
      size: dimensions(args.size),
      fps: fraction(args.fps),
      format: args.format as RawFormat | undefined,
      range: args.range as "limited" | "full" | undefined,
      pixelAspect: pixelAspect(args["pixel-aspect"]),
      guess: true,
    },
  };
}
