import { deviceReady } from "../../device/open.ts";
import type { EncoderConfig } from "./encoder-config.ts";
import { MAX_CHUNKS } from "./limits.ts";
import { DEFAULT_DEVICE, openEncoder } from "./open-encoder.ts";
import type { EncodedChunk, EncodeOptions, EncoderOptions, RawFrame } from "./options.ts";

/**
 * Encodes frames as they arrive and yields their chunks in order. Ends after the last one, and closes the
 * encoder in any case. Throws what openEncoder, configure and encode throw.
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
    // Reported at once: encode would report it with the next frame, which may be long in coming.
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
      while (chunks.length >= MAX_CHUNKS && !abandoned) await news.promise;
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
    // Tells the source that no more frames are wanted, even while the next one is long in coming.
    void (async () => iterator.return?.())().catch(() => {});
  }
  if (fed && "error" in fed) throw fed.error;
}
