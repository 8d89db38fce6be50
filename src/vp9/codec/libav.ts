import type LibAV from "@libav.js/variant-webm-vp9";
import { profileOf, samplesOf } from "../../pixels/pixel-format.ts";
import type { SettingName } from "../contract/settings.ts";
import { type Codec, CodecError, type CodecPacket, type CodecSettings, type Engine } from "./engine.ts";
import { checkFrame, checkSettings, type FrameLayout, frameLayout, frameViews } from "./layout.ts";

const packageName = "@libav.js/variant-webm-vp9";

/** One copy of the package's program with its memory; its functions are called on this thread. */
type Instance = LibAV.LibAV & LibAV.LibAVSync;

/** libvpx's default target, which FFmpeg would replace by a constant quality of its own. */
const DEFAULT_KBPS = 256;
/** libvpx's default for cq. */
const DEFAULT_CQ_LEVEL = 10;
/** AV_PIX_FMT_YUV420P and AV_PICTURE_TYPE_I. */
const YUV420P = 0;
const PICTURE_TYPE_I = 1;

/**
 * Loads the package `@libav.js/variant-webm-vp9`, FFmpeg and libvpx in WebAssembly. It runs on any machine,
 * but without threads or vector instructions: frames take ten times as long as with a native libvpx, or
 * longer.
 *
 * @throws {CodecError} if it is not installed, and in a standalone binary
 */
export async function loadLibav(): Promise<Engine> {
  // The import would search node_modules of the folder that the binary was started in.
  if (Bun.isStandaloneExecutable)
    throw new CodecError(
      "libav.js: a standalone binary does not include it; use libvpx, or a clone of the project",
    );
  try {
    const { default: libav } = await import(packageName as "@libav.js/variant-webm-vp9");
    const version = `libav.js ${libav.VER.replace(/^(\d+\.\d+\.\d+)\.0$/, "$1")}`;
    // One instance per stream: dropping it frees its memory, and anything that a failure left in it.
    const open = async (settings: CodecSettings) => {
      checkSettings(settings);
      return openStream(await libav.LibAV({ noworker: true, nothreads: true }), version, settings);
    };
    return { version, open };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new CodecError(`libav.js: ${reason}. Install it: npm install ${packageName}`, { cause });
  }
}

/** FFmpeg's options for the settings that it passes on to libvpx unchanged. */
const ffmpegOptions: Readonly<Partial<Record<SettingName, string>>> = {
  minQ: "qmin",
  maxQ: "qmax",
  undershootPct: "undershoot-pct",
  overshootPct: "overshoot-pct",
  dropFrame: "drop-threshold",
  tileColumns: "tile-columns",
  tileRows: "tile-rows",
  rowMt: "row-mt",
  frameParallel: "frame-parallel",
  aqMode: "aq-mode",
  noiseSensitivity: "noise-sensitivity",
  staticThreshold: "static-thresh",
  tuneContent: "tune-content",
  errorResilient: "error-resilient",
  lossless: "lossless",
  sharpness: "sharpness",
  maxIntraRate: "max-intra-rate",
};

/** Settings that are not in FFmpeg's codec context, by FFmpeg's names. Throws CodecError for one that it has no name for. */
function optionsOf({ speed, rateControl, cqLevel, settings }: CodecSettings): Record<string, string> {
  const more = Object.entries(settings).map(([name, value]) => {
    const option = ffmpegOptions[name as SettingName];
    if (option === undefined)
      throw new CodecError(`libav.js: it has no ${name}; leave it out, or use the codec libvpx`);
    return [option, String(value)];
  });
  return {
    ...Object.fromEntries(more),
    deadline: "realtime",
    // Without it FFmpeg drops each frame's duration, which libvpx's rate control uses.
    flags: "+frame_duration",
    "lag-in-frames": "0",
    "cpu-used": String(speed ?? 0),
    ...(rateControl === "cq" || rateControl === "q" ? { crf: String(cqLevel ?? DEFAULT_CQ_LEVEL) } : {}),
  };
}

/**
 * Opens a VP9 encoder with the settings that libvpx.ts gives to libvpx, so its packets are those of the
 * libvpx in the package. It ignores `threads` and encodes on one thread.
 *
 * @throws {CodecError} if the settings are refused
 */
function openStream(libav: Instance, version: string, settings: CodecSettings): Codec {
  if (profileOf(settings.format) !== 0)
    throw new CodecError(
      `libav.js: it has no ${samplesOf(settings.format)}; convert to 8-bit 4:2:0, or use the codec libvpx`,
    );
  if (settings.temporalLayers > 1)
    throw new CodecError("libav.js: it has no temporal layers; leave them out, or use the codec libvpx");
  const { width, height, timebase } = settings;
  const attempt = <Result>(what: string, action: () => Result): Result => {
    try {
      return action();
    } catch (cause) {
      if (cause instanceof CodecError) throw cause;
      throw new CodecError(`${version}: ${what}: ${cause instanceof Error ? cause.message : cause}`, {
        cause,
      });
    }
  };
  const check = (result: number, what: string) => {
    if (result < 0) throw new CodecError(`${version}: ${what}: ${libav.ff_error_sync(result)}`);
  };
  // FFmpeg takes a quality without a bitrate for constant quality.
  const bitrate = settings.rateControl === "q" ? 0 : (settings.bitrateKbps ?? DEFAULT_KBPS) * 1000;
  const layout = frameLayout(settings);
  const bytesAt = frameViews(layout.sizeBytes);
  libav.av_log_set_level_sync(libav.AV_LOG_QUIET);
  const [, context, frame, packet] = attempt("encoder not started", () =>
    libav.ff_init_encoder_sync("libvpx-vp9", {
      time_base: [timebase.num, timebase.den],
      ctx: {
        width,
        height,
        pix_fmt: YUV420P,
        bit_rate: bitrate,
        ...(settings.rateControl === "cbr" ? { rc_min_rate: bitrate, rc_max_rate: bitrate } : {}),
        ...(settings.gopFrames === null ? {} : { gop_size: settings.gopFrames }),
      },
      options: optionsOf(settings),
    }),
  );
  const planes = picturePlanes(settings, layout);

  const collect = (pts: number): CodecPacket[] => {
    const packets: CodecPacket[] = [];
    while (libav.avcodec_receive_packet_sync(context, packet) >= 0) {
      const sizeBytes = libav.AVPacket_size_sync(packet);
      const data = new Uint8Array(new ArrayBuffer(sizeBytes));
      data.set(libav.copyout_u8_sync(libav.AVPacket_data_sync(packet), sizeBytes));
      packets.push({ data, key: (libav.AVPacket_flags_sync(packet) & libav.AV_PKT_FLAG_KEY) !== 0, pts });
      libav.av_packet_unref_sync(packet);
    }
    return packets;
  };

  let closed = false;
  return {
    version,
    encode(raw) {
      if (closed) throw new CodecError(`${version}: closed`);
      checkFrame(raw, layout);
      const { address, pts, duration, forceKey } = raw;
      if (raw.quantizer !== undefined || raw.bitrateKbps !== undefined)
        throw new CodecError("libav.js: it can't change the quantizer or the bitrate of a running stream");
      return attempt(`frame at pts ${pts}`, () => {
        libav.AVFrame_format_s_sync(frame, YUV420P);
        libav.AVFrame_width_s_sync(frame, width);
        libav.AVFrame_height_s_sync(frame, height);
        if (libav.av_frame_make_writable_sync(frame) < 0)
          check(libav.av_frame_get_buffer_sync(frame, 0), `frame at pts ${pts}`);
        const [low, high] = libav.f64toi64(pts);
        libav.AVFrame_pts_s_sync(frame, low);
        libav.AVFrame_ptshi_s_sync(frame, high);
        libav.AVFrame_duration_s_sync(frame, duration);
        libav.AVFrame_pict_type_s_sync(frame, forceKey ? PICTURE_TYPE_I : 0);
        const bytes = bytesAt(address);
        for (const [index, plane] of planes.entries()) {
          const target = libav.AVFrame_data_a_sync(frame, index);
          const pitch = libav.AVFrame_linesize_a_sync(frame, index);
          for (let y = 0; y < plane.rows; y++) libav.copyin_u8_sync(target + y * pitch, plane.row(bytes, y));
        }
        check(libav.avcodec_send_frame_sync(context, frame), `frame at pts ${pts}`);
        return collect(pts);
      });
    },
    flush() {
      if (closed) throw new CodecError(`${version}: closed`);
      return [];
    },
    [Symbol.dispose]() {
      if (!closed) libav.ff_free_encoder_sync(context, frame, packet);
      closed = true;
    },
  };
}

interface PicturePlane {
  readonly rows: number;
  /** A row of the visible picture, out of a frame's bytes; valid until the next call. */
  row(bytes: Uint8Array, y: number): Uint8Array;
}

/** Y, U and V for either format: the package does not support NV12, so its chroma is deinterleaved. */
function picturePlanes({ width, height, format }: CodecSettings, { planes }: FrameLayout): PicturePlane[] {
  const columns = Math.ceil(width / 2);
  const rows = Math.ceil(height / 2);
  const [luma, u, v] = planes;
  const packed = ({ offset, stride }: { offset: number; stride: number }, width: number, rows: number) => ({
    rows,
    row: (bytes: Uint8Array, y: number) => bytes.subarray(offset + y * stride, offset + y * stride + width),
  });
  const first = packed(luma!, width, height);
  if (format === "i420") return [first, packed(u!, columns, rows), packed(v!, columns, rows)];
  const pairs = packed(u!, 2 * columns, rows);
  const line = new Uint8Array(columns);
  const everySecond = (from: number): PicturePlane => ({
    rows,
    row(bytes, y) {
      const row = pairs.row(bytes, y);
      for (let x = 0; x < columns; x++) line[x] = row[2 * x + from]!;
      return line;
    },
  });
  return [first, everySecond(0), everySecond(1)];
}
