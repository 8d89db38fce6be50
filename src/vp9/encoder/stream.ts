import { deviceReady } from "../../device/open.ts";
import { DEFAULT_DEVICE, openEncoder } from "./encoder.ts";
import type { EncoderConfig } from "./encoder-config.ts";
import type { EncodedChunk, EncodeOptions, EncoderOptions, RawFrame } from "./options.ts";

/** Chunks that wait for their consumer before frames are held back, too. */
const MOST_CHUNKS = 64;

/**
 * Encodes frames as they come and yields their chunks in order; ends when all are out, and closes the encoder however
 * it ends. Throws what openEncoder, configure and encode throw.
 */
export async function* encodeFrames(
  options: Omit<EncoderOptions, "output" | "error">,
  config: EncoderConfig,
  frames: Iterable<RawFrame & EncodeOptions> | AsyncIterable<RawFrame & EncodeOptions>,
): AsyncGenerator<EncodedChunk, void, undefined> {
  const chunks: EncodedChunk[] = [];
  /** Resolves whenever either side has something new for the other. */
  let news = Promise.withResolvers<void>();
  const tell = () => {
    news.resolve();
    news = Promise.withResolvers<void>();
  };
  let fed: { readonly error?: unknown } | undefined;
  const device = options.device ?? DEFAULT_DEVICE;
  if (typeof device === "string") await deviceReady(device);
  using encoder = openEncoder({
    ...options,
    device,
    output: (chunk) => {
      chunks.push(chunk);
      tell();
    },
    // The next frame, at which encode would say so, may be long in coming.
    error: (error) => {
      fed ??= { error };
      tell();
    },
  });
  await encoder.configure(config);

  const iterator =
    Symbol.asyncIterator in frames ? frames[Symbol.asyncIterator]() : frames[Symbol.iterator]();
  let abandoned = false;
  const feed = async () => {
    for (;;) {
      const { value: frame, done } = await iterator.next();
      if (done) break;
      while (chunks.length >= MOST_CHUNKS && !abandoned) await news.promise;
      if (abandoned) return;
      await encoder.encode(frame, { keyFrame: frame.keyFrame });
    }
    await encoder.flush();
  };
  void feed()
    .then(
      () => {
        fed ??= {};
      },
      (error) => {
        fed ??= { error };
      },
    )
    .then(tell);
  try {
    for (;;) {
      const ready = news.promise;
      const batch = chunks.splice(0);
      if (batch.length) tell();
      yield* batch;
      if (chunks.length) continue;
      if (fed) break;
      await ready;
    }
  } finally {
    abandoned = true;
    tell();
    // Whoever makes the frames learns that no more are wanted, also while the next one is long in coming.
    void (async () => iterator.return?.())().catch(() => {});
  }
  if (fed && "error" in fed) throw fed.error;
}
