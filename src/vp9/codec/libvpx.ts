import { type Pointer, ptr, read, toArrayBuffer } from "bun:ffi";
import { expectHeapUse } from "../../os/heap.ts";
import { pointer } from "../../os/libc.ts";
import { LibraryError, type OpenLibrary, openLibrary } from "../../os/library.ts";
import { pixelFormats, profileOf } from "../../pixels/pixel-format.ts";
import type { SettingName } from "../contract/settings.ts";
import {
  type Codec,
  CodecError,
  type CodecFrame,
  type CodecPacket,
  type CodecSettings,
  type Engine,
} from "./engine.ts";
import { checkFrame, checkSettings, frameLayout } from "./layout.ts";
import * as abi from "./libvpx-abi.ts";

/** The loaded library, once it has been recognised. */
interface Libvpx {
  readonly calls: OpenLibrary<typeof abi.symbols>["symbols"];
  readonly encoderInterface: Pointer | bigint;
  readonly abiVersion: number;
  readonly version: string;
}

/**
 * Opens a libvpx, by default the system's, and checks that its structures have the known layout.
 *
 * @param candidates names or paths; the first that opens is used
 * @throws {CodecError} if there is none, or it has another layout
 */
export function loadLibvpx(candidates: readonly string[] = abi.sonames): Engine {
  let library: OpenLibrary<typeof abi.symbols>;
  try {
    library = openLibrary(candidates, abi.symbols);
  } catch (cause) {
    if (!(cause instanceof LibraryError)) throw cause;
    throw new CodecError(
      `libvpx: ${cause.message}. Install it: apt-get install libvpx7 (libvpx9 on Debian 13)`,
      {
        cause,
      },
    );
  }
  try {
    const calls = library.symbols;
    const version = `libvpx ${calls.vpx_codec_version_str()}`;
    const encoderInterface = calls.vpx_codec_vp9_cx();
    if (encoderInterface === null)
      throw new CodecError(`${version} (${library.soname}): built without a VP9 encoder`);
    defaultConfig(calls, encoderInterface, version);
    // Without a context libvpx opens nothing, and answers the right number with "invalid parameter".
    const abiVersion = abi.abiVersions.find(
      (number) =>
        calls.vpx_codec_enc_init_ver(null, encoderInterface, null, 0, number) !== abi.VPX_CODEC_ABI_MISMATCH,
    );
    if (abiVersion === undefined)
      throw new CodecError(`${version} (${library.soname}): unknown encoder ABI version`);
    const libvpx = { calls, encoderInterface, abiVersion, version };
    return {
      version,
      open: (settings) => openStream(libvpx, settings),
      // The smallest stream touches most of the library, and of the memory that the next one gets.
      warmUp: () => {
        try {
          openStream(libvpx, SMALLEST)[Symbol.dispose]();
        } catch {
          // What is wrong is told when a stream of a client can't be opened.
        }
      },
    };
  } catch (error) {
    library.close();
    throw error;
  }
}

/**
 * libvpx's default VP9 configuration, checked against the defaults that every release has at the same
 * offsets.
 *
 * @throws {CodecError} if one of them is not where it should be
 */
function defaultConfig(
  calls: Libvpx["calls"],
  encoderInterface: Pointer | bigint,
  version: string,
): DataView<ArrayBuffer> {
  const memory = new DataView(new ArrayBuffer(abi.sizes.config));
  const result = calls.vpx_codec_enc_config_default(encoderInterface, ptr(memory), 0);
  if (result !== 0)
    throw new CodecError(`${version}: no default configuration: ${calls.vpx_codec_err_to_string(result)}`);
  for (const [field, known] of Object.entries(abi.config)) {
    if (!("fallback" in known)) continue;
    const found = memory.getUint32(known.offset, true);
    if (found !== known.fallback) {
      throw new CodecError(
        `${version}: unknown layout of vpx_codec_enc_cfg: ${field} at byte ${known.offset} is ${found}, not ${known.fallback}`,
      );
    }
  }
  return memory;
}

/** A `vpx_image` for frames of these settings, all but the plane addresses filled in. */
function describeImage(settings: CodecSettings, strides: readonly number[]): DataView<ArrayBuffer> {
  const memory = new DataView(new ArrayBuffer(abi.sizes.image));
  const { chromaShift, bits } = pixelFormats[settings.format];
  const [x, y] = chromaShift;
  const isWide = bits > 8;
  const planar = abi.imageFormats[`${x},${y}`] | (isWide ? abi.VPX_IMG_FMT_HIGHBITDEPTH : 0);
  // NV12's chroma is read as one plane of full width, so it has no horizontal shift.
  const isInterleaved = settings.format === "nv12";
  const fields = [
    [abi.image.fmt, isInterleaved ? abi.VPX_IMG_FMT_NV12 : planar],
    [abi.image.w, settings.codedWidth],
    [abi.image.h, settings.codedHeight],
    [abi.image.bit_depth, bits],
    [abi.image.d_w, settings.width],
    [abi.image.d_h, settings.height],
    [abi.image.x_chroma_shift, isInterleaved ? 0 : x],
    [abi.image.y_chroma_shift, y],
    [abi.image.bps, (8 + (16 >> (x + y))) * (isWide ? 2 : 1)],
  ] as const;
  for (const [offset, value] of fields) memory.setUint32(offset, value, true);
  strides.forEach((stride, plane) => {
    memory.setUint32(abi.image.stride + 4 * plane, stride, true);
  });
  return memory;
}

/** What libvpx takes for each pixel at most: its token buffer alone has 48. */
const HEAP_BYTES = 96;

const SMALLEST: CodecSettings = {
  width: 1,
  height: 1,
  codedWidth: 1,
  codedHeight: 1,
  format: "i420",
  timebase: { num: 1, den: 25 },
  fps: { num: 25, den: 1 },
  rateControl: "vbr",
  bitrateKbps: null,
  cqLevel: null,
  gopFrames: null,
  speed: null,
  threads: 1,
  settings: {},
  temporalLayers: 1,
};

/**
 * Opens a VP9 encoder in libvpx that reads frames in place. Its packets are byte for byte those of
 * `vpxenc --rt --lag-in-frames=0` with the same settings: like vpxenc it starts from libvpx's defaults and
 * changes only the settings given.
 *
 * @throws {CodecError} in libvpx's own words, if it refuses the settings
 */
function openStream(libvpx: Libvpx, settings: CodecSettings): Codec {
  checkSettings(settings);
  const { calls, encoderInterface, abiVersion, version } = libvpx;
  const layout = frameLayout(settings);

  const { bits } = pixelFormats[settings.format];
  const config = defaultConfig(calls, encoderInterface, version);
  const set = (field: keyof typeof abi.config, value: number | null) => {
    if (value !== null) config.setUint32(abi.config[field].offset, value, true);
  };
  set("g_threads", settings.threads);
  set("g_profile", profileOf(settings.format));
  set("g_bit_depth", bits);
  set("g_input_bit_depth", bits);
  set("g_w", settings.width);
  set("g_h", settings.height);
  set("g_timebase_num", settings.timebase.num);
  set("g_timebase_den", settings.timebase.den);
  set("g_lag_in_frames", 0);
  set("rc_end_usage", abi.endUsage[settings.rateControl]);
  set("rc_target_bitrate", settings.bitrateKbps);
  set("kf_max_dist", settings.gopFrames);
  const controls: [what: string, control: number, value: number][] = [];
  if (settings.speed !== null) controls.push(["speed", abi.VP8E_SET_CPUUSED, settings.speed]);
  if (settings.cqLevel !== null) controls.push(["cqLevel", abi.VP8E_SET_CQ_LEVEL, settings.cqLevel]);
  for (const [name, value] of Object.entries(settings.settings) as [SettingName, number][]) {
    const place = abi.settings[name];
    if (typeof place === "number") controls.push([name, place, value]);
    else set(place, value);
  }

  const setBitrates = (kbps: number) => {
    set("rc_target_bitrate", kbps);
    if (!layering) return;
    set("ss_target_bitrate", kbps);
    for (const [layer, share] of layering.shares.entries())
      config.setUint32(
        abi.config.layer_target_bitrate.offset + 4 * layer,
        Math.round((kbps * share) / 100),
        true,
      );
  };
  const layering = abi.temporalLayering[settings.temporalLayers];
  if (layering) {
    // Else a frame's probabilities come from the one before it, of whatever layer.
    set("g_error_resilient", 1);
    set("ss_number_layers", 1);
    set("ts_number_layers", settings.temporalLayers);
    set("temporal_layering_mode", layering.mode);
    for (const [layer, decimator] of layering.decimators.entries())
      config.setUint32(abi.config.ts_rate_decimator.offset + 4 * layer, decimator, true);
    setBitrates(config.getUint32(abi.config.rc_target_bitrate.offset, true));
  }

  // Passed as a view, not as an address, so that it lives as long as the codec.
  const context = new Uint8Array(new ArrayBuffer(abi.sizes.context));
  let open = false;
  const check = (result: number, what: string) => {
    if (result === 0) return;
    const detail = calls.vpx_codec_error_detail(context);
    throw new CodecError(
      `${version}: ${what}: ${calls.vpx_codec_err_to_string(result)}${detail ? ` (${detail})` : ""}`,
    );
  };
  const close = () => {
    if (open) calls.vpx_codec_destroy(context);
    open = false;
  };
  expectHeapUse(HEAP_BYTES * settings.codedWidth * settings.codedHeight);
  check(
    calls.vpx_codec_enc_init_ver(
      context,
      encoderInterface,
      ptr(config),
      bits > 8 ? abi.VPX_CODEC_USE_HIGHBITDEPTH : 0,
      abiVersion,
    ),
    "encoder not started",
  );
  open = true;
  try {
    for (const [what, control, value] of controls)
      check(calls.vpx_codec_control_(context, control, value), `${what} ${value}`);
    if (layering) {
      const { sizeBytes, ...arrays } = abi.svcParameters;
      const parameters = new DataView(new ArrayBuffer(sizeBytes));
      for (let layer = 0; layer < settings.temporalLayers; layer++) {
        const write = (array: number, value: number) => parameters.setInt32(array + 4 * layer, value, true);
        write(arrays.max_quantizers, config.getUint32(abi.config.rc_max_quantizer.offset, true));
        write(arrays.min_quantizers, config.getUint32(abi.config.rc_min_quantizer.offset, true));
        write(arrays.scaling_factor_num, 1);
        write(arrays.scaling_factor_den, 1);
      }
      const layers = `${settings.temporalLayers} temporal layers`;
      check(calls.vpx_codec_control_(context, abi.VP9E_SET_SVC, 1), layers);
      check(calls.vpx_codec_control_(context, abi.VP9E_SET_SVC_PARAMETERS, ptr(parameters)), layers);
    }
  } catch (error) {
    close();
    throw error;
  }

  // NV12's V samples start one byte after its U samples, in the same plane.
  const [luma, u, v] = layout.planes;
  const offsets = [luma!.offset, u!.offset, v?.offset ?? u!.offset + 1];
  const image = describeImage(settings, [luma!.stride, u!.stride, v?.stride ?? u!.stride]);
  const imageAddress = ptr(image);
  const iterator = new DataView(new ArrayBuffer(8));
  const iteratorAddress = ptr(iterator);

  const layerId = new DataView(new ArrayBuffer(abi.svcLayerId.sizeBytes));
  const layerOfLast = () => {
    check(calls.vpx_codec_control_(context, abi.VP9E_GET_SVC_LAYER_ID, ptr(layerId)), "a frame's layer");
    return layerId.getInt32(abi.svcLayerId.temporal_layer_id, true);
  };

  const collect = () => {
    const packets: CodecPacket[] = [];
    iterator.setBigUint64(0, 0n, true);
    for (;;) {
      const found = calls.vpx_codec_get_cx_data(context, iteratorAddress);
      if (found === null) return packets;
      if (read.u32(found, abi.packet.kind) !== abi.VPX_CODEC_CX_FRAME_PKT) continue;
      const bytes = toArrayBuffer(
        pointer(read.ptr(found, abi.packet.buf)),
        0,
        Number(read.u64(found, abi.packet.sz)),
      );
      packets.push({
        data: new Uint8Array(bytes.slice(0)),
        key: (read.u32(found, abi.packet.flags) & abi.VPX_FRAME_IS_KEY) !== 0,
        pts: Number(read.i64(found, abi.packet.pts)),
        ...(layering ? { layer: layerOfLast() } : {}),
      });
    }
  };

  const range = ["rc_min_quantizer", "rc_max_quantizer"] as const;
  const own = range.map((field) => config.getUint32(abi.config[field].offset, true));
  let quantizer: number | undefined;
  /** Changes what differs for this frame; libvpx goes on without a key frame. */
  const adjust = (frame: CodecFrame) => {
    if (frame.quantizer === quantizer && frame.bitrateKbps === undefined) return;
    quantizer = frame.quantizer;
    for (const [index, field] of range.entries()) set(field, quantizer ?? own[index]!);
    if (frame.bitrateKbps !== undefined) setBitrates(frame.bitrateKbps);
    check(calls.vpx_codec_enc_config_set(context, ptr(config)), `settings of the frame at pts ${frame.pts}`);
  };

  return {
    version,
    encode(frame) {
      if (!open) throw new CodecError(`${version}: closed`);
      checkFrame(frame, layout);
      adjust(frame);
      for (let plane = 0; plane < 3; plane++) {
        const address = frame.address + offsets[plane]!;
        image.setUint32(abi.image.planes + 8 * plane, address, true);
        image.setUint32(abi.image.planes + 8 * plane + 4, address / 0x1_0000_0000, true);
      }
      const flags = frame.forceKey ? abi.VPX_EFLAG_FORCE_KF : 0;
      check(
        calls.vpx_codec_encode(context, imageAddress, frame.pts, frame.duration, flags, abi.VPX_DL_REALTIME),
        `frame at pts ${frame.pts}`,
      );
      return collect();
    },
    flush() {
      if (!open) throw new CodecError(`${version}: closed`);
      check(calls.vpx_codec_encode(context, null, 0, 0, 0, abi.VPX_DL_REALTIME), "flush");
      return collect();
    },
    [Symbol.dispose]: close,
  };
}
