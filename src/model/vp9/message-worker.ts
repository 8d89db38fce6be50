/**
 * Starts the model's message thread, which waits for its first message: MessageThreadData. A file of its own, so that a
 * process can start the thread before it loads anything else.
 */
export function startMessageThread(): Worker {
  // Bun's "smol": little lives long there, so it collects early and keeps its memory.
  return new Worker(new URL("./message-thread.ts", import.meta.url), { smol: true });
}
