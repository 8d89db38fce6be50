/** Starts a model's threads. A separate file, so a process can start them before it loads anything else. */
import { ownFile } from "../../os/bun-program.ts";

/** Starts a model's thread. Bun's "smol" collects early and keeps the heap small: little lives long there. */
export function startThread(file: string): Worker {
  return new Worker(file, { smol: true });
}

/** Starts the thread that answers messages. It loads the model's file, then receives MessageThreadData. */
export function startMessageThread(modelFile: string): Worker {
  const thread = startThread(ownFile("./message-thread.ts", import.meta.url));
  thread.postMessage(modelFile);
  return thread;
}
