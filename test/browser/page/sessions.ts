/** Drives Chromium's VideoEncoder, and records what is called and what comes out. */
import type { Size } from "../../../src/pixels/pixel-format.ts";
import { type Call, type Output, picture, type Recording, type Session } from "../session.ts";

/** TypeScript's DOM has no layers. */
type Metadata = EncodedVideoChunkMetadata & Pick<Output, "svc">;

/** An encoder whose calls are recorded. */
function recorder() {
  const calls: Call[] = [];
  const outputs: Output[] = [];
  const errors: string[] = [];
  const encoder = new VideoEncoder({
    output: ({ type, timestamp, duration, byteLength }, metadata = {}) => {
      const { decoderConfig, svc } = metadata as Metadata;
      outputs.push({
        type,
        timestamp,
        duration: duration!,
        byteLength,
        ...(decoderConfig && { decoderConfig: JSON.parse(JSON.stringify(decoderConfig)) }),
        ...(svc && { svc }),
      });
    },
    error: ({ name, message }) => errors.push(`${name}: ${message}`),
  });
  return {
    calls,
    outputs,
    errors,
    encoder,
    configure(config: VideoEncoderConfig) {
      calls.push({ configure: config as unknown as Record<string, unknown> });
      encoder.configure(config);
    },
    encode(index: number, size: Size, options?: VideoEncoderEncodeOptions) {
      const times = { timestamp: Math.floor((index * 1_000_000) / 12), duration: 83_333 };
      calls.push({ encode: times, index, ...(options && { options: options as Record<string, unknown> }) });
      const frame = new VideoFrame(picture(index, size), {
        ...times,
        format: "I420",
        codedWidth: size.width,
        codedHeight: size.height,
      });
      encoder.encode(frame, options);
      frame.close();
    },
    async flush() {
      await encoder.flush();
      calls.push({ flush: outputs.length });
    },
    reset() {
      encoder.reset();
      calls.push({ reset: outputs.length });
    },
  };
}

const SIZE = { width: 320, height: 192 };
const CONFIG: VideoEncoderConfig = { codec: "vp09.00.10.08", ...SIZE, framerate: 12, bitrate: 300_000 };
const call: VideoEncoderConfig = { ...CONFIG, bitrateMode: "constant", latencyMode: "realtime" };

type Recorder = ReturnType<typeof recorder>;
const sessions: Record<string, (recorded: Recorder) => Promise<void>> = {
  "a file": async ({ configure, encode, flush }) => {
    configure(CONFIG);
    for (let i = 0; i < 30; i++) encode(i, SIZE, { keyFrame: i % 12 === 0 });
    await flush();
  },
  "a call, with a key frame for a late guest": async ({ configure, encode, flush }) => {
    configure(call);
    for (let i = 0; i < 20; i++) encode(i, SIZE, i === 13 ? { keyFrame: true } : undefined);
    await flush();
    for (let i = 20; i < 25; i++) encode(i, SIZE);
    await flush();
  },
  "a call at two layers": async ({ configure, encode, flush }) => {
    configure({ ...call, scalabilityMode: "L1T2" });
    for (let i = 0; i < 20; i++) encode(i, SIZE, { keyFrame: i === 9 });
    await flush();
  },
  "a call at three layers": async ({ configure, encode, flush }) => {
    configure({ ...call, scalabilityMode: "L1T3" });
    for (let i = 0; i < 20; i++) encode(i, SIZE, { keyFrame: i === 10 });
    await flush();
  },
  "each frame with its quantizer": async ({ configure, encode, flush }) => {
    const { bitrate: _, ...config } = CONFIG;
    configure({ ...config, bitrateMode: "quantizer" });
    for (let i = 0; i < 12; i++)
      encode(i, SIZE, { vp9: { quantizer: 10 + i * 4 } } as VideoEncoderEncodeOptions);
    await flush();
  },
  "the network gets worse": async ({ configure, encode, flush }) => {
    configure(call);
    for (let i = 0; i < 10; i++) encode(i, SIZE);
    configure({ ...call, bitrate: 100_000 });
    for (let i = 10; i < 20; i++) encode(i, SIZE);
    configure({ ...call, bitrate: 100_000, framerate: 6 });
    for (let i = 20; i < 30; i++) encode(i, SIZE);
    await flush();
  },
  "another size": async ({ configure, encode, flush }) => {
    configure(call);
    for (let i = 0; i < 5; i++) encode(i, SIZE);
    const half = { width: 160, height: 96 };
    configure({ ...call, ...half });
    for (let i = 5; i < 10; i++) encode(i, half);
    await flush();
  },
  "begun again": async ({ configure, encode, flush, reset }) => {
    configure(call);
    for (let i = 0; i < 5; i++) encode(i, SIZE);
    await flush();
    reset();
    configure({ ...call, displayWidth: 400, displayHeight: 192 });
    for (let i = 5; i < 10; i++) encode(i, SIZE);
    await flush();
  },
};

export default async function (): Promise<Recording> {
  const recorded: Session[] = [];
  for (const [name, drive] of Object.entries(sessions)) {
    const record = recorder();
    await drive(record);
    record.encoder.close();
    recorded.push({ name, calls: record.calls, outputs: record.outputs, errors: record.errors });
  }
  return { browser: navigator.userAgent.replace(/.*(Chrome\/\d+).*/, "$1"), sessions: recorded };
}
