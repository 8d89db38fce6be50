/**
 * Starts the model's threads, each of which waits for its first message. A file of its own, so that a process can start
 * them before it loads anything else.
 */

/** The message thread; it is told MessageThreadData. */
export function startMessageThread(): Worker {
  // Bun's "smol": little lives long there, so it collects early and keeps its memory.
  return new Worker(new URL("./message-thread.ts", import.meta.url), { smol: true });
}

/** A codec thread; it is told CodecThreadData. */
export function startCodecThread(): Worker {
  return new Worker(new URL("./codec-thread.ts", import.meta.url), { smol: true });
}

/** Both, as a model needs them to begin with. */
export function startThreads(): { readonly messages: Worker; readonly codec: Worker } {
  return { messages: startMessageThread(), codec: startCodecThread() };
}
