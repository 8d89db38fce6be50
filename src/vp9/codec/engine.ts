/** The interface of codec engines: their settings, the frames they take and the packets they return. */
import type { PixelFormat } from "../../pixels/pixel-format.ts";
import type { SettingValues } from "../contract/settings.ts";

/**
 * All engines, in the order in which "auto" tries them, each with the line that describes it in --help, in
 * `--codec help` and in docs/encode.md.
 */
export const engines = {
  libvpx: "this machine's libvpx, 1.8 or later",
  embedded: "Debian 13's libvpx9 inside a standalone binary for glibc",
  debian: "Debian 13's libvpx9, downloaded once, without root; for glibc 2.34",
  "libav.js": "libvpx 1.16 in WebAssembly, from npm, at a tenth of the speed",
  null: "no video: a checksum of each frame, to measure all but the codec",
} as const;

export type CodecName = keyof typeof engines;
export const codecNames = Object.keys(engines) as readonly CodecName[];
/** Those that "auto" tries. */
export const automaticNames: readonly CodecName[] = codecNames.filter((name) => name !== "null");

/** A loaded engine. */
export interface Engine {
  /** Its name and version, e.g. "libvpx v1.12.0". */
  readonly version: string;
  /** Opens it for one stream. Throws {@link CodecError}, or rejects with it, when it refuses the settings. */
  open(settings: CodecSettings): Codec | Promise<Codec>;
  /** Does what makes the first stream slower to open than the next ones. */
  warmUp?(): void;
}

/** One stream's settings. `null` selects the engine's own default. */
export interface CodecSettings {
  /** Visible picture, 1..16384 pixels each way. */
  readonly width: number;
  readonly height: number;
  /**
   * The buffer's size in pixels, at least as large as the picture; its planes are `format`'s, without gaps.
   */
  readonly codedWidth: number;
  readonly codedHeight: number;
  readonly format: PixelFormat;
  /** Seconds of one tick of `pts` and `duration`, e.g. 1/1000. */
  readonly timebase: { readonly num: number; readonly den: number };
  /** Nominal frame rate; the engines use each frame's duration. */
  readonly fps: { readonly num: number; readonly den: number };
  readonly rateControl: "cbr" | "vbr" | "cq" | "q";
  readonly bitrateKbps: number | null;
  /** 0 (best) to 63, as `vpxenc --cq-level`. */
  readonly cqLevel: number | null;
  /** The longest distance between key frames, as `vpxenc --kf-max-dist`. */
  readonly gopFrames: number | null;
  /** -9 to 9, higher is faster, as `vpxenc --cpu-used`. */
  readonly speed: number | null;
  readonly threads: number;
  /** The others that differ from the engine's own defaults. */
  readonly settings: SettingValues;
  /** 1 to 3: of 2, every second frame can be left out; of 3, also every second one of the others. */
  readonly temporalLayers: number;
}

/** One raw frame in memory, laid out as the settings say; it must stay there until `encode` has returned or resolved. */
export interface CodecFrame {
  /** Host virtual address of its first luma byte. */
  readonly address: number;
  /** Bytes readable from there: at least what the layout needs. */
  readonly sizeBytes: number;
  /** Start and length in ticks of the timebase. */
  readonly pts: number;
  readonly duration: number;
  readonly forceKey: boolean;
  /** This frame's quantizer, 0 to 63. */
  readonly quantizer?: number | undefined;
  /** The target from this frame on. */
  readonly bitrateKbps?: number | undefined;
}

/** One compressed frame. */
export interface CodecPacket {
  /** Has an ArrayBuffer of its own, which can therefore be transferred. */
  readonly data: Uint8Array<ArrayBuffer>;
  readonly key: boolean;
  /** The frame's `pts`. */
  readonly pts: number;
  /** Its temporal layer, from 0; absent with one layer. */
  readonly layer?: number;
}

/** An open encoder. Calls must not overlap: make the next one after the last has returned or resolved. */
export interface Codec extends Disposable {
  /** The engine and its version, e.g. "libvpx v1.12.0". */
  readonly version: string;
  /**
   * Encodes a frame and returns its packet: no engine here holds frames back.
   *
   * @throws {CodecError} (or rejects with it) if the frame is refused; the codec stays usable
   */
  encode(frame: CodecFrame): CodecPacket[] | Promise<CodecPacket[]>;
  /** Ends the stream so far and returns the packets held back; more frames may follow. */
  flush(): CodecPacket[] | Promise<CodecPacket[]>;
}

/** An engine is not available, or refused a setting or a frame. */
export class CodecError extends Error {
  override readonly name = "CodecError";
}
