/** Encodes raw video as VP9 on a PCIe encoder. */
import { type ArgsDef, defineCommand, type ParsedArgs } from "citty";
import { deviceReady } from "../../src/device/open.ts";
import { builtInClip } from "../../src/media/clip.ts";
import { type FrameSource, openFrameSource } from "../../src/media/source.ts";
import { containerFor, containerNames, openPacketWriter, prepareContainer } from "../../src/media/writer.ts";
import "../../src/schemes.ts";
import { automaticNames, codecNames } from "../../src/vp9/codec/engine.ts";
import { encodeFile, untilAborted } from "../../src/vp9/encoder/file.ts";
import type { EncodeReport } from "../../src/vp9/encoder/report.ts";
import { ExitCode } from "../cli/exit-code.ts";
import { interrupted } from "../cli/interrupt.ts";
import { clock, openProgress } from "../cli/progress.ts";
import { runVerb } from "../cli/usage.ts";
import { UsageError } from "../cli/usage-error.ts";
import { codecTable, printCodecs } from "./codecs.ts";
import { chooseDevice, dmaNotes, windowHint } from "./device.ts";
import { notesOn, toldOf } from "./notes.ts";
import { formatNames, inputOptions, readOptions } from "./options.ts";
import { Interrupted, Outcome } from "./outcome.ts";
import { isOwnModel, openOwnModel } from "./own-model.ts";
import { repair, unfinishedNotes } from "./repair.ts";
import { settingArgs, vpxencAnswers } from "./settings.ts";

function progressLine(
  report: EncodeReport,
  source: FrameSource,
  { frames = Number.POSITIVE_INFINITY, skip }: { frames?: number | undefined; skip: number },
  startMs: number,
): string {
  const total = Math.min(source.frameCount ?? Number.POSITIVE_INFINITY, frames) - skip;
  const seconds = (performance.now() - startMs) / 1000;
  const fps = report.frames / seconds;
  const kbps = (report.packetBytes * 8) / report.videoMs;
  const known = Number.isFinite(total);
  const left = known ? `, ${clock((total - report.frames) / fps)} left` : "";
  return `frame ${report.frames}${known ? `/${total}` : ""}, ${fps.toFixed(1)} fps, ${kbps.toFixed(0)} kbit/s${left}`;
}

const verbArgs = {
  input: {
    type: "positional",
    required: false,
    description: "y4m or raw video; - is standard input (default: a built-in clip)",
  },
  output: {
    type: "string",
    alias: "o",
    valueHint: "OUT",
    description: ".ivf or .webm file; - is standard output",
  },
  container: {
    type: "enum",
    options: [...containerNames],
    description: "Container if OUT does not end in it (default for -: ivf)",
  },
  device: {
    type: "string",
    valueHint: "SPEC",
    description: "0000:00:09.0, vfio-user:/path/to.sock or model:vp9 (default: a card, else the model)",
  },
  path: {
    type: "enum",
    options: ["dma", "window"],
    description: "How frames reach the device (default: dma if there is an IOMMU, else window)",
  },
  dma: {
    type: "enum",
    options: ["physical"],
    description:
      "DMA without an IOMMU, through uio_pci_generic: the device can then write to any memory of the machine",
  },
  "in-flight": {
    type: "string",
    valueHint: "N",
    description: "Frames in flight at once (default: 4, up to 16 small ones)",
  },
  size: {
    type: "string",
    valueHint: "WxH",
    description: "Size of raw video (default: as in the file's name)",
  },
  fps: { type: "string", valueHint: "N[/D]", description: "Frame rate of raw video; overrides a y4m's" },
  format: {
    type: "enum",
    options: [...formatNames],
    valueHint: "FORMAT",
    description:
      "Pixel format of raw video: i420 (the default), i422, i440, i444, these also with p10 or p12 for more bits, nv12; or, converted, yv12, nv21, yuyv, uyvy, mono",
  },
  range: {
    type: "enum",
    options: ["limited", "full"],
    description: "Range of the samples, 16-235 or 0-255; overrides a y4m's",
  },
  "pixel-aspect": {
    type: "string",
    valueHint: "N:D",
    description: "A pixel's width and height; overrides a y4m's",
  },
  rc: {
    type: "enum",
    options: ["cbr", "vbr", "cq", "q"],
    default: "vbr",
    description: "Rate control (--end-usage)",
  },
  bitrate: {
    type: "string",
    valueHint: "KBPS",
    description: "Target in kbit/s; with --rc cq the maximum (--target-bitrate)",
  },
  "cq-level": { type: "string", valueHint: "N", description: "Quality for cq and q, 0 (best) to 63" },
  gop: {
    type: "string",
    valueHint: "N",
    description: "At most N frames from one key frame to the next (--kf-max-dist)",
  },
  speed: {
    type: "string",
    default: "8",
    valueHint: "N",
    description: "-9 to 9; higher is faster (--cpu-used)",
  },
  threads: { type: "string", default: "1", valueHint: "N", description: "Codec threads" },
  ...settingArgs,
  timeout: {
    type: "string",
    default: "10",
    valueHint: "S",
    description: "Seconds that a frame may take before the device counts as hung",
  },
  recover: {
    type: "string",
    default: "3",
    valueHint: "N",
    description: "Make a failed device go on, N times at most",
  },
  "recover-timeout": {
    type: "string",
    default: "30",
    valueHint: "S",
    description: "Seconds to look for a device that is gone",
  },
  frames: {
    type: "string",
    alias: "limit",
    valueHint: "N",
    description: "Stop after N frames of the input",
  },
  skip: { type: "string", valueHint: "N", description: "Leave out the input's first N frames" },
  "force-key": {
    type: "string",
    valueHint: "LIST",
    description: "Frames to make key frames, counted from 0, such as 0,25,50",
  },
  codec: {
    type: "enum",
    options: [...codecNames, "help"],
    description: `The software model's codec (default: the first available of ${automaticNames.join(", ")}); help shows what each is here`,
  },
  repair: {
    type: "string",
    valueHint: "FILE",
    description: "Complete an .ivf whose encoding was killed, in place; encodes nothing",
  },
  json: { type: "boolean", default: false, description: "Print one JSON object instead of the summary" },
  quiet: { type: "boolean", default: false, description: "Print errors only" },
} satisfies ArgsDef;

const command = defineCommand({
  meta: {
    name: "encode.ts",
    description: `Encode raw video as VP9 on a PCIe encoder or its software model.

Examples:
  bun run encode.ts clip.y4m -o clip.webm
  bun run encode.ts raw.yuv --size 1280x720 --fps 25 --bitrate 1600 -o out.ivf
  ffmpeg -i in.mp4 -f yuv4mpegpipe -pix_fmt yuv420p - | \\
    bun run encode.ts - -o - > out.ivf

The settings are vpxenc's options, by vpxenc's names or with them in parentheses, always with
--rt --lag-in-frames=0. Settings without a default below use libvpx's; for --bitrate that is 256 kbit/s,
enough for small video only.
After an error the output is a valid, shorter file with the frames encoded until then.

Codecs of the software model:
${codecTable()}

--json: the fields are in docs/encode.md.
Exit codes: 0 done, 1 device, 2 usage, 3 input, 4 output, 130 interrupted.`,
  },
  args: verbArgs,
  async run({ args }) {
    if (args.codec === "help") return printCodecs(args.json);
    if (args.repair !== undefined) process.exit(await repair(args.repair, args, verbArgs));
    const outcome = new Outcome(args);
    try {
      await encode(args, outcome);
    } catch (error) {
      outcome.failed(error);
    }
    await outcome.tell();
    process.exit(outcome.exitCode);
  },
});

async function encode(args: ParsedArgs<typeof verbArgs>, outcome: Outcome): Promise<void> {
  const { input } = args;
  const output = args.output;
  if (!output)
    throw new UsageError("say where the video goes: -o OUT.webm, -o OUT.ivf, or -o - for standard output");
  const {
    config,
    path,
    inFlight,
    timeoutMs,
    recover,
    recoverTimeoutMs,
    frames,
    skip,
    forceKey,
    rawVideo,
    container,
  } = readOptions(args);
  const isIn = containerFor(output, container);
  const described = inputOptions.find((name) => args[name] !== undefined);
  if (input === undefined && described)
    throw new UsageError(
      `--${described} describes an input, and none is given: name the file, or - for standard input`,
    );
  const { spec, why } = chooseDevice(args.device, args.codec, args.dma as "physical" | undefined);
  outcome.device = spec;

  outcome.exitCode = ExitCode.INPUT;
  // Opening a pipe waits for its other end, and for the first bytes; Ctrl-C must end that, too.
  using source =
    input === undefined ? builtInClip() : await untilAborted(openFrameSource(input, rawVideo), interrupted);
  if (!source) throw new Interrupted();
  const { colorSpace = source.video.colorSpace } = config;
  const video = { ...source.video, ...(colorSpace && { colorSpace }) };
  outcome.settings = { ...video, ...toldOf(source), ...config };

  outcome.exitCode = ExitCode.DEVICE;
  // Ctrl-C must end the wait for a model that fetches its codec, too.
  using own = isOwnModel(spec) ? await untilAborted(openOwnModel(spec), interrupted) : undefined;
  if (!isOwnModel(spec)) await untilAborted(deviceReady(spec), interrupted);
  if (interrupted.aborted) throw new Interrupted();

  prepareContainer(isIn); // loads while the device starts
  const progress = openProgress(outcome.talks);
  const startMs = performance.now();
  try {
    const openWriter = async () => {
      const notes = unfinishedNotes(output);
      const writer = await openPacketWriter(output, video, input, container);
      outcome.notes = [...outcome.notes, ...notes];
      outcome.inform(notes);
      return writer;
    };
    outcome.report = await encodeFile(source, openWriter, {
      encoder: { device: own ?? spec, path, inFlight, timeoutMs, recover, recoverTimeoutMs },
      config,
      frames,
      skip,
      forceKey,
      signal: interrupted,
      onStart: ({ codec, path: taken }) => {
        const way = path === undefined && taken === "window" ? windowHint(spec) : "";
        outcome.notes = [...dmaNotes(spec), ...notesOn(source, config, codec, input ?? "", isIn)];
        outcome.inform([...(why ? [`${why} (${codec}${way})`] : []), ...outcome.notes]);
      },
      onProgress: (report) => progress.update(() => progressLine(report, source, { frames, skip }, startMs)),
      onFailure: async (error) => {
        progress.end();
        outcome.failed(error);
        await outcome.tell();
      },
    });
  } finally {
    progress.end();
  }
  outcome.exitCode = 0;
  if (interrupted.aborted) throw new Interrupted();
}

await runVerb(command, { required: ["output"], answers: vpxencAnswers });
