/** Encodes raw video as VP9 on a PCIe encoder. */
import { defineCommand } from "citty";
import { deviceReady } from "../../src/device/open.ts";
import { builtInClip } from "../../src/media/clip.ts";
import { type FrameSource, openFrameSource } from "../../src/media/source.ts";
import { openPacketWriter, writerFor } from "../../src/media/writer.ts";
import { findFunctions } from "../../src/pci/bus/functions.ts";
import { listIommus } from "../../src/pci/bus/iommu.ts";
import { codecNames } from "../../src/vp9/codec/engine.ts";
import { PCI_ID } from "../../src/vp9/contract/registers.ts";
import { EncodeFileError, type EncodeReport, encodeFile, untilAborted } from "../../src/vp9/encoder/file.ts";
import { ExitCode } from "../cli/exit-code.ts";
import { interrupted } from "../cli/interrupt.ts";
import { clock, openProgress } from "../cli/progress.ts";
import "../../src/schemes.ts";
import { say } from "../cli/say.ts";
import { runVerb } from "../cli/usage.ts";
import { UsageError } from "../cli/usage-error.ts";
import { notesOn } from "./notes.ts";
import { readOptions } from "./options.ts";

const stageExitCodes = { input: ExitCode.INPUT, device: ExitCode.DEVICE, output: ExitCode.OUTPUT } as const;

class Interrupted extends Error {}

/** The device to use, and what to say about it when nobody chose it. */
function chooseDevice(wanted: string | undefined, codec: string | undefined): { spec: string; why: string } {
  const query = codec === undefined ? "" : `?codec=${codec}`;
  if (wanted !== undefined) {
    if (codec !== undefined && wanted !== "model:vp9")
      throw new UsageError(`--codec chooses the software model's codec; ${wanted} has its own`);
    return { spec: wanted + query, why: "" };
  }
  const [card] = codec === undefined ? findFunctions(PCI_ID) : [];
  if (card !== undefined) return { spec: card, why: `found a card, ${card}; using it` };
  const why = codec === undefined ? "no card found" : "a codec was chosen";
  return { spec: `model:vp9${query}`, why: `${why}; using the software model` };
}

/** Why frames take the slow way, and how they would not. */
function windowHint(device: string): string {
  const can = listIommus().length > 0 ? `; after bun run bind.ts ${device} they go by DMA` : "";
  return `, frames through its window${can}`;
}

function summary(report: EncodeReport, output: string): string {
  const { frames, keyFrames, packetBytes, wallMs } = report;
  const fps = (frames / wallMs) * 1000;
  return `${frames} frames (${keyFrames} key), ${packetBytes} bytes, ${(wallMs / 1000).toFixed(2)} s (${fps.toFixed(1)} fps) -> ${output}`;
}

function progressLine(
  report: EncodeReport,
  source: FrameSource,
  limit: number | undefined,
  startMs: number,
): string {
  const total = Math.min(source.frameCount ?? Number.POSITIVE_INFINITY, limit ?? Number.POSITIVE_INFINITY);
  const seconds = (performance.now() - startMs) / 1000;
  const fps = report.frames / seconds;
  const kbps = (report.packetBytes * 8) / report.videoMs;
  const known = Number.isFinite(total);
  const left = known ? `, ${clock((total - report.frames) / fps)} left` : "";
  return `frame ${report.frames}${known ? `/${total}` : ""}, ${fps.toFixed(1)} fps, ${kbps.toFixed(0)} kbit/s${left}`;
}

const command = defineCommand({
  meta: {
    name: "encode.ts",
    description: `Encode raw video as VP9 on a PCIe encoder, or on its software model.

Examples:
  bun run encode.ts clip.y4m -o clip.webm
  bun run encode.ts raw.yuv --size 1280x720 --fps 25 --bitrate 1600 -o out.ivf
  ffmpeg -i in.mp4 -f yuv4mpegpipe -pix_fmt yuv420p - | \\
    bun run encode.ts - -o - > out.ivf

Settings are vpxenc's (named in brackets), always with --rt --lag-in-frames=0. Those without a
default here have libvpx's: for --bitrate 256 kbit/s, too low for more than small video.
Frames encoded before an error are in the output, which is then a valid, shorter file.

--json: the fields are in docs/encode.md.
Exit codes: 0 done, 1 device, 2 usage, 3 input, 4 output, 130 interrupted.`,
  },
  args: {
    input: {
      type: "positional",
      required: false,
      description: "y4m or raw video; - is standard input (default: a built-in clip)",
    },
    output: {
      type: "string",
      alias: "o",
      valueHint: "OUT",
      description: ".ivf or .webm file; - is IVF on standard output",
    },
    device: {
      type: "string",
      valueHint: "SPEC",
      description: "0000:00:09.0, vfio-user:/path/to.sock or model:vp9 (default: a card, else the model)",
    },
    path: {
      type: "enum",
      options: ["dma", "window"],
      description: "How frames reach the device (default: dma where there is an IOMMU, else window)",
    },
    "in-flight": { type: "string", default: "4", valueHint: "N", description: "Frames under way at once" },
    size: { type: "string", valueHint: "WxH", description: "Size of raw video" },
    fps: { type: "string", valueHint: "N[/D]", description: "Frame rate of raw video; overrides a y4m's" },
    format: {
      type: "enum",
      options: ["i420", "nv12"],
      description: "Pixel format of raw video (default: i420)",
    },
    rc: {
      type: "enum",
      options: ["cbr", "vbr", "cq"],
      default: "vbr",
      description: "Rate control (--end-usage)",
    },
    bitrate: {
      type: "string",
      valueHint: "KBPS",
      description: "Target in kbit/s; with --rc cq the most it takes (--target-bitrate)",
    },
    "cq-level": { type: "string", valueHint: "N", description: "Quality for cq, 0 best to 63 (--cq-level)" },
    gop: {
      type: "string",
      valueHint: "N",
      description: "At most N frames from one key frame to the next (--kf-max-dist)",
    },
    speed: {
      type: "string",
      default: "8",
      valueHint: "N",
      description: "-9 to 9, higher is faster (--cpu-used)",
    },
    threads: { type: "string", default: "1", valueHint: "N", description: "Codec threads (--threads)" },
    timeout: {
      type: "string",
      default: "10",
      valueHint: "S",
      description: "Seconds that a frame may take before the device counts as hung",
    },
    frames: { type: "string", valueHint: "N", description: "Encode at most N frames" },
    "force-key": {
      type: "string",
      valueHint: "LIST",
      description: "Frames to make key frames, from 0, such as 0,25,50",
    },
    codec: {
      type: "enum",
      options: [...codecNames],
      description:
        "The software model's codec (default: libvpx, else Debian's, fetched, else libav.js, slow)",
    },
    json: { type: "boolean", default: false, description: "Print one JSON object instead of the summary" },
    quiet: { type: "boolean", default: false, description: "Print errors only" },
  },
  async run({ args }) {
    const talks = !args.quiet && !args.json;
    /** What an error means from here on. */
    let exitCode: number = ExitCode.USAGE;
    let errorText: string | undefined;
    let report: EncodeReport | undefined;
    let settings = {};
    let device = args.device;
    let notes: string[] = [];
    let said = Promise.resolve();
    const note = (error: unknown) => {
      if (error instanceof EncodeFileError) {
        report = error.report;
        exitCode = stageExitCodes[error.stage];
      }
      if (error instanceof Interrupted) exitCode = ExitCode.INTERRUPTED;
      errorText = error instanceof Error ? error.message : String(error);
    };
    const tell = async () => {
      await said;
      if (errorText !== undefined && report && report.frames > 0) {
        errorText += `\n${args.output === "-" ? "the output" : args.output} holds the ${report.frames === 1 ? "frame" : `${report.frames} frames`} before that`;
      }
      // Standard output belongs to the video when it goes there. (process.stdout would take 9 ms to set itself up.)
      const print = args.output === "-" ? console.error : console.log;
      if (args.json) {
        const failure = errorText === undefined ? {} : { error: errorText };
        const warnings = notes.length === 0 ? {} : { notes };
        const object = {
          ...report,
          input: args.input ?? null,
          output: args.output,
          device,
          path: report?.path ?? args.path ?? null,
          settings,
          ...warnings,
          ...failure,
        };
        print(JSON.stringify(object));
      } else if (errorText !== undefined) {
        await say("error", errorText);
      } else if (talks && report) {
        print(summary(report, args.output!));
      }
    };
    let told = false;
    try {
      const output = args.output;
      if (!output)
        throw new UsageError(
          "say where the video goes: -o OUT.webm, -o OUT.ivf, or -o - for standard output",
        );
      writerFor(output);
      const options = readOptions(args);
      const described = (["size", "fps", "format"] as const).find((name) => args[name] !== undefined);
      if (args.input === undefined && described) {
        throw new UsageError(
          `--${described} describes an input, and none is given: name the file, or - for standard input`,
        );
      }
      const chosen = chooseDevice(args.device, args.codec);
      device = chosen.spec;
      exitCode = ExitCode.INPUT;
      // Opening a pipe waits for its other end, and for the first bytes; Ctrl-C must end that, too.
      using source =
        args.input === undefined
          ? builtInClip()
          : await untilAborted(openFrameSource(args.input, options.rawVideo), interrupted);
      if (!source) throw new Interrupted("interrupted");
      settings = { ...source.video, ...options.config };
      exitCode = ExitCode.DEVICE;
      // Ctrl-C must end the wait for a model that fetches its codec, too.
      await untilAborted(deviceReady(device), interrupted);
      if (interrupted.aborted) throw new Interrupted("interrupted");

      const progress = openProgress(talks);
      const startMs = performance.now();
      try {
        const { path, inFlight, timeoutMs } = options;
        report = await encodeFile(source, () => openPacketWriter(output, source.video, args.input), {
          encoder: { device, path, inFlight, timeoutMs },
          config: options.config,
          frames: options.frames,
          forceKey: options.forceKey,
          signal: interrupted,
          onStart: ({ codec, path: taken }) => {
            const way = path === undefined && taken === "window" ? windowHint(device!) : "";
            notes = notesOn(source.video, options.config, codec, args.input ?? "", output);
            const lines = chosen.why ? [`${chosen.why} (${codec}${way})`, ...notes] : notes;
            for (const line of talks ? lines : []) said = said.then(() => say("info", line));
          },
          onProgress: (now) => progress.update(() => progressLine(now, source, options.frames, startMs)),
          onFailure: async (error) => {
            progress.end();
            note(error);
            await tell();
            told = true;
          },
        });
      } finally {
        progress.end();
      }
      exitCode = interrupted.aborted ? ExitCode.INTERRUPTED : 0;
      if (exitCode !== 0) errorText = "interrupted";
    } catch (error) {
      note(error);
    }
    if (!told) await tell();
    process.exit(exitCode);
  },
});

await runVerb(command, { required: ["output"] });
