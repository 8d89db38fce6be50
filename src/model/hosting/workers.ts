/** Starts a model's threads. A file of its own, so that a process can start them before it loads anything else. */
import { ownFile } from "../../os/bun-program.ts";

/** A thread of a model that runs a file. Bun's "smol": little lives long there, so it collects early and keeps its memory. */
export function startThread(file: string): Worker {
  return new Worker(file, { smol: true });
}

/** The thread that answers messages; it loads the model's file, and is then told MessageThreadData. */
export function startMessageThread(modelFile: string): Worker {
  const thread = startThread(ownFile("./message-thread.ts", import.meta.url));
  thread.postMessage(modelFile);
  return thread;
}
