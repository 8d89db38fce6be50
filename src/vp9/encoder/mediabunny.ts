/** The encoder as one that mediabunny chooses by itself for VP9. */
import {
  CustomVideoEncoder,
  EncodedPacket,
  type VideoSample as MediabunnySample,
  registerEncoder,
  type VideoCodec,
} from "mediabunny";
import { deviceReady } from "../../device/open.ts";
import type { DeviceLimits } from "../driver/device-limits.ts";
import type { Encoder } from "./encoder.ts";
import { configMembers, type EncoderConfig } from "./encoder-config.ts";
import { DEFAULT_DEVICE, openEncoder } from "./open-encoder.ts";
import type { EncodeOptions, EncoderOptions } from "./options.ts";
import { checkConfig, limitsOf, supports } from "./support.ts";

/** Options for registerVfiokitEncoder: the device, and the settings that mediabunny has no words for. */
export interface MediabunnyOptions
  extends Omit<EncoderOptions, "output" | "error">,
    Pick<EncoderConfig, "gop" | "speed" | "threads"> {}

/** What a sample says of itself that its packet is to say, too. */
interface SampleFacts {
  /** The time stamp of its chunk. */
  readonly timestampUs: number;
  /** Seconds. */
  readonly timestamp: number;
  readonly duration: number;
  readonly colorSpace: VideoColorSpaceInit;
}

/**
 * From now on mediabunny encodes VP9 with this device: in VideoSampleSource, CanvasSource and conversions. It takes samples in
 * I420 and NV12, of any size that the device takes, without alpha. Everything else is left to other encoders.
 * Throws DeviceError, EncoderError: the device, if one is named, is opened once to read its limits.
 */
export function registerVfiokitEncoder(options: MediabunnyOptions = {}): void {
  const { gop, speed, threads, ...device } = options;
  const settings = { gop, speed, threads };
  const limits = limitsOf(options.device);

  class VfiokitEncoder extends CustomVideoEncoder {
    #encoder: Encoder | undefined;
    #format: EncoderConfig["format"];
    /** Of the samples under way, in their order. */
    #samples: SampleFacts[] = [];

    static override supports(codec: VideoCodec, config: VideoEncoderConfig): boolean {
      return codec === "vp9" && isForUs({ ...configOf(config), ...settings }, limits);
    }

    override async init(): Promise<void> {
      const spec = options.device ?? DEFAULT_DEVICE;
      if (typeof spec === "string") await deviceReady(spec);
      this.#encoder = openEncoder({
        ...device,
        output: (chunk, { decoderConfig }) => {
          const sample = this.#sampleOf(chunk.timestamp);
          const packet = new EncodedPacket(
            chunk.data,
            chunk.type,
            sample.timestamp,
            sample.duration || chunk.duration / 1e6,
          );
          const { colorSpace } = sample;
          this.onPacket(packet, decoderConfig && { decoderConfig: { colorSpace, ...decoderConfig } });
        },
        error: (error) => this.onError(error),
      });
    }

    /** Forgets those before it, too, which rate control dropped. */
    #sampleOf(timestampUs: number): SampleFacts {
      const index = this.#samples.findIndex((sample) => sample.timestampUs === timestampUs);
      return this.#samples.splice(0, index + 1).at(-1)!;
    }

    override encode(sample: MediabunnySample, { keyFrame, vp9 }: VideoEncoderEncodeOptions): Promise<void> {
      return this.#tell(() =>
        this.#encode(sample, { keyFrame, vp9: { quantizer: vp9?.quantizer ?? undefined } }),
      );
    }

    async #encode(sample: MediabunnySample, options: EncodeOptions): Promise<void> {
      const encoder = this.#encoder!;
      const format = formatOf(sample);
      if (format !== this.#format) {
        await encoder.configure({ ...configOf(this.config), ...settings, format });
        this.#format = format;
      }
      const { timestamp, duration } = sample;
      const timestampUs = Math.round(timestamp * 1e6);
      const data = await encoder.acquireFrame();
      await sample.copyTo(data.data);
      this.#samples.push({ timestampUs, timestamp, duration, colorSpace: sample.colorSpace.toJSON() });
      const frame = { data, timestamp: timestampUs };
      const durationUs = Math.round(duration * 1e6);
      await encoder.encode(durationUs > 0 ? { ...frame, duration: durationUs } : frame, options);
    }

    override flush(): Promise<void> {
      return this.#tell(async () => {
        if (this.#format !== undefined) await this.#encoder!.flush();
      });
    }

    /** Tells mediabunny of an error, which it throws from its next call. A call that rejects would keep it from calling close. */
    async #tell(act: () => Promise<void>): Promise<void> {
      try {
        await act();
      } catch (error) {
        this.onError(error);
      }
    }

    override close(): void {
      this.#encoder?.close();
    }
  }
  registerEncoder(VfiokitEncoder);
}

/** The members of mediabunny's config that ours has, which are all but codecs' own. */
function configOf(config: VideoEncoderConfig): EncoderConfig {
  const known = Object.entries(config).filter(([name]) => Object.hasOwn(configMembers, name));
  return Object.fromEntries(known) as unknown as EncoderConfig;
}

function isForUs(config: EncoderConfig, limits: DeviceLimits): boolean {
  try {
    checkConfig(config);
  } catch {
    return false;
  }
  // mediabunny gives each frame a quantizer of its own then.
  const isForFrames = config.bitrateMode === "quantizer";
  return supports(config, limits) && (!isForFrames || limits.caps.FRAME_CONTROL === 1);
}

function formatOf({ format }: MediabunnySample): NonNullable<EncoderConfig["format"]> {
  if (format === "I420") return "i420";
  if (format === "NV12") return "nv12";
  throw new TypeError(`a sample in ${format}; the encoder takes I420 and NV12`);
}
