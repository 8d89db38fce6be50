/**
 * The part of libvpx's binary interface that vfiokit uses, for LP64 Linux. Offsets and numbers were read with
 * offsetof from the headers of 1.7 to 1.17 (vpx_encoder.h, vpx_image.h, vp8cx.h) and are the same in all of
 * them; NV12 needs 1.9.
 */
import type { SettingName } from "../contract/settings.ts";

/** The library's names, newest first: 12 is 1.16, 9 is 1.14 and 1.15.0, 8 is 1.13, 7 is 1.11 and 1.12, 6 is 1.8 to 1.10. */
export const sonames = [12, 11, 10, 9, 8, 7, 6].map((major) => `libvpx.so.${major}`).concat("libvpx.so");

export const symbols = {
  vpx_codec_version_str: { args: [], returns: "cstring" },
  vpx_codec_vp9_cx: { args: [], returns: "ptr" },
  vpx_codec_enc_config_default: { args: ["ptr", "ptr", "u32"], returns: "i32" },
  vpx_codec_enc_init_ver: { args: ["ptr", "ptr", "ptr", "i64", "i32"], returns: "i32" },
  /** Variadic: it takes one int or one address, and finds either in the register of 64 bits. */
  vpx_codec_control_: { args: ["ptr", "i32", "i64"], returns: "i32" },
  vpx_codec_enc_config_set: { args: ["ptr", "ptr"], returns: "i32" },
  vpx_codec_encode: { args: ["ptr", "ptr", "i64", "u64", "i64", "u64"], returns: "i32" },
  vpx_codec_get_cx_data: { args: ["ptr", "ptr"], returns: "ptr" },
  vpx_codec_err_to_string: { args: ["i32"], returns: "cstring" },
  vpx_codec_error_detail: { args: ["ptr"], returns: "cstring" },
  vpx_codec_destroy: { args: ["ptr"], returns: "i32" },
} as const;

/**
 * VPX_ENCODER_ABI_VERSION of 1.16, 1.15.1, 1.15.0, 1.14, 1.13, 1.11 and 1.12, 1.10, 1.8 and 1.9. For other
 * releases the numbers around them are tried.
 */
export const abiVersions = [39, 37, 36, 34, 30, 25, 24, 23, ...Array.from({ length: 80 }, (_, n) => 16 + n)];

/** vpx_codec_err_t: the one result that means a wrong ABI number. */
export const VPX_CODEC_ABI_MISMATCH = 3;

/**
 * vpx_codec_enc_cfg: offsets of 32-bit fields. Some have the default that VP9 has in every release, which
 * identifies the layout: the structure has no size or version field.
 */
export const config = {
  g_threads: { offset: 4 },
  g_profile: { offset: 8, fallback: 0 },
  g_w: { offset: 12, fallback: 320 },
  g_h: { offset: 16, fallback: 240 },
  g_bit_depth: { offset: 20, fallback: 8 },
  g_input_bit_depth: { offset: 24, fallback: 8 },
  g_timebase_num: { offset: 28, fallback: 1 },
  g_timebase_den: { offset: 32, fallback: 30 },
  g_pass: { offset: 40, fallback: 0 },
  g_lag_in_frames: { offset: 44, fallback: 25 },
  g_error_resilient: { offset: 36 },
  rc_dropframe_thresh: { offset: 48 },
  rc_end_usage: { offset: 72, fallback: 0 },
  rc_target_bitrate: { offset: 112, fallback: 256 },
  rc_min_quantizer: { offset: 116 },
  rc_max_quantizer: { offset: 120, fallback: 63 },
  rc_undershoot_pct: { offset: 124 },
  rc_overshoot_pct: { offset: 128 },
  rc_buf_sz: { offset: 132 },
  rc_buf_initial_sz: { offset: 136 },
  rc_buf_optimal_sz: { offset: 140 },
  kf_min_dist: { offset: 164 },
  ss_number_layers: { offset: 172 },
  ss_target_bitrate: { offset: 196 },
  ts_number_layers: { offset: 216 },
  ts_rate_decimator: { offset: 240 },
  layer_target_bitrate: { offset: 328 },
  temporal_layering_mode: { offset: 376 },
  kf_max_dist: { offset: 168, fallback: 128 },
} as const satisfies Record<string, { offset: number; fallback?: number }>;

/** Memory for the structures libvpx fills: 504, 56 and 136 bytes in 1.12, with room for later releases. */
export const sizes = { config: 4096, context: 512, image: 512 } as const;

/** vpx_rc_mode. */
export const endUsage = { vbr: 0, cbr: 1, cq: 2, q: 3 } as const;

/** vp8e_enc_control_id. */
export const VP8E_SET_CPUUSED = 13;
export const VP8E_SET_CQ_LEVEL = 25;

/** Where each setting goes: a field of the configuration, or a control (the VP8E and VP9E numbers of vp8cx.h). */
export const settings: Readonly<Record<SettingName, keyof typeof config | number>> = {
  minQ: "rc_min_quantizer",
  maxQ: "rc_max_quantizer",
  undershootPct: "rc_undershoot_pct",
  overshootPct: "rc_overshoot_pct",
  bufSize: "rc_buf_sz",
  bufInitialSize: "rc_buf_initial_sz",
  bufOptimalSize: "rc_buf_optimal_sz",
  dropFrame: "rc_dropframe_thresh",
  gopMin: "kf_min_dist",
  tileColumns: 33,
  tileRows: 34,
  rowMt: 55,
  frameParallel: 35,
  aqMode: 36,
  noiseSensitivity: 38,
  staticThreshold: 17,
  tuneContent: 43,
  errorResilient: "g_error_resilient",
  lossless: 32,
  sharpness: 16,
  maxIntraRate: 26,
  colorSpace: 46,
};

/** vpx_image: byte offsets; planes are pointers and strides 32-bit, Y U V A each. */
export const image = {
  fmt: 0,
  w: 12,
  h: 16,
  bit_depth: 20,
  d_w: 24,
  d_h: 28,
  x_chroma_shift: 40,
  y_chroma_shift: 44,
  planes: 48,
  stride: 80,
  bps: 96,
} as const;

/** vpx_img_fmt of 8 bits by the chroma shift, across and down. */
export const imageFormats = { "1,1": 0x102, "1,0": 0x105, "0,0": 0x106, "0,1": 0x107 } as const;
export const VPX_IMG_FMT_NV12 = 0x109;
/** In an image's format: samples have 16 bits. */
export const VPX_IMG_FMT_HIGHBITDEPTH = 0x800;
/** To vpx_codec_enc_init_ver: frames may have such samples. */
export const VPX_CODEC_USE_HIGHBITDEPTH = 0x4_0000;

/** vpx_codec_cx_pkt of kind frame: byte offsets. */
export const packet = { kind: 0, buf: 8, sz: 16, pts: 24, flags: 40 } as const;
export const VPX_CODEC_CX_FRAME_PKT = 0;
export const VPX_FRAME_IS_KEY = 1;

/** vpx_codec_encode's flags and deadline. */
export const VPX_EFLAG_FORCE_KF = 1;
export const VPX_DL_REALTIME = 1;

/** Controls for layers: on or off, a vpx_svc_extra_cfg, and asking for a vpx_svc_layer_id. */
export const VP9E_SET_SVC = 39;
export const VP9E_SET_SVC_PARAMETERS = 41;
export const VP9E_GET_SVC_LAYER_ID = 44;
/** vpx_svc_extra_cfg: its size, and offsets of arrays of 12 integers, one for each layer. */
export const svcParameters = {
  sizeBytes: 292,
  max_quantizers: 0,
  min_quantizers: 48,
  scaling_factor_num: 96,
  scaling_factor_den: 144,
} as const;
/** vpx_svc_layer_id. */
export const svcLayerId = { sizeBytes: 28, temporal_layer_id: 4 } as const;

/**
 * What libvpx wants to hear of temporal layers: VP9E_TEMPORAL_LAYERING_MODE_0101 and _0212, of how many frames a layer and those
 * below it have one, and their share of the bitrate in percent.
 */
export const temporalLayering: Readonly<
  Record<
    number,
    { readonly mode: number; readonly decimators: readonly number[]; readonly shares: readonly number[] }
  >
> = {
  2: { mode: 2, decimators: [2, 1], shares: [60, 100] },
  3: { mode: 3, decimators: [4, 2, 1], shares: [50, 70, 100] },
};
