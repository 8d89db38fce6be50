/**
 * The codec threads, as the message thread uses them. One works for the running stream. A codec can't be
 * interrupted, and a large frame may take it a minute. So a thread that is still working when its stream ends
 * is left to finish, and the next stream gets another one at once.
 */
import { receiveMessageOnPort } from "node:worker_threads";
import type { EventFd } from "../../os/eventfd.ts";
import { type CodecChannel, endThread, Shared, wakeThread } from "./channel.ts";
import type { CodecJob, CodecResult } from "./jobs.ts";
import { MAX_THREADS } from "./limits.ts";

/** The codec's threads, as an endpoint sees them. */
export interface CodecLink {
  /** Value of the CODEC register. */
  readonly identity: number;
  post(job: CodecWork): void;
  /**
   * Ends the stream. Its jobs are answered without work, except one that has begun, whose id this returns.
   * That job reads its frame's memory until it is answered.
   */
  close(id: number): number | undefined;
  /** Results since the last call. */
  take(): CodecResult[];
  /** A descriptor that is readable when results wait. */
  readonly bell: number;
}

type CodecWork = Exclude<CodecJob, { readonly kind: "close" }>;

interface Thread extends CodecChannel {
  /** Ids of the jobs not answered yet. */
  readonly unanswered: Set<number>;
}

export class CodecPool implements CodecLink {
  readonly identity: number;
  readonly #bell: EventFd;
  readonly #start: () => CodecChannel;
  #threads: readonly Thread[];
  /** The running stream's thread. */
  #current: Thread | undefined;
  /** Jobs of a starting stream, posted while all threads were working for others. */
  #waiting: CodecWork[] = [];

  /** `first` is a running thread; `start` starts another one. All ring the same bell. */
  constructor(identity: number, bell: EventFd, first: CodecChannel, start: () => CodecChannel) {
    this.identity = identity;
    this.#bell = bell;
    this.#start = start;
    this.#threads = [withJobs(first)];
  }

  get bell(): number {
    return this.#bell.fd.number;
  }

  post(job: CodecWork): void {
    if (job.kind === "open") this.#current = this.#idle() ?? this.#another();
    if (this.#current) send(this.#current, job);
    else this.#waiting.push(job);
  }

  close(id: number): number | undefined {
    this.#waiting = [];
    const thread = this.#current;
    this.#current = undefined;
    if (!thread) return undefined;
    Atomics.store(thread.shared, Shared.CANCELLED, id);
    const begun = Atomics.load(thread.shared, Shared.BEGUN);
    postJob(thread, { kind: "close", id });
    return thread.unanswered.has(begun) ? begun : undefined;
  }

  take(): CodecResult[] {
    this.#bell.take();
    const results: CodecResult[] = [];
    for (const { port, shared, unanswered } of this.#threads) {
      // First: what is answered from now on rings the bell again.
      Atomics.store(shared, Shared.RUNG, 0);
      for (;;) {
        const received = receiveMessageOnPort(port) as { message: CodecResult } | undefined;
        if (!received) break;
        unanswered.delete(received.message.id);
        results.push(received.message);
      }
    }
    if (this.#waiting.length > 0) this.#current = this.#idle();
    if (this.#current) for (const job of this.#waiting.splice(0)) send(this.#current, job);
    this.#endIdle();
    return results;
  }

  #idle(): Thread | undefined {
    return this.#threads.find((thread) => thread !== this.#current && thread.unanswered.size === 0);
  }

  #another(): Thread | undefined {
    if (this.#threads.length >= MAX_THREADS) return undefined;
    const thread = withJobs(this.#start());
    this.#threads = [...this.#threads, thread];
    return thread;
  }

  /** Ends idle threads, but keeps at least one thread. */
  #endIdle(): void {
    for (let idle = this.#idle(); idle && this.#threads.length > 1; idle = this.#idle()) {
      endThread(idle);
      this.#threads = this.#threads.filter((thread) => thread !== idle);
    }
  }
}

function withJobs(channel: CodecChannel): Thread {
  return { ...channel, unanswered: new Set() };
}

function send(thread: Thread, job: CodecWork): void {
  thread.unanswered.add(job.id);
  postJob(thread, job);
}

function postJob(thread: Thread, job: CodecJob): void {
  thread.port.postMessage(job);
  wakeThread(thread);
}
