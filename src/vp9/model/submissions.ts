/** The submissions that the codec has, with the memory of their frames. */
import { release } from "../../model/range-copy.ts";
import type { DmaRange } from "../../model/shared-mapping.ts";
import type { EndpointMemory } from "./endpoint-memory.ts";

/** A stream as START found the registers: later writes to them are for the next stream. */
export interface Stream {
  readonly memory: EndpointMemory;
  /** If not, it is in host memory, which requires bus mastering, and faults there are bus errors. */
  readonly inWindow: boolean;
  readonly submissions: number;
  readonly completions: number;
  readonly entries: number;
  readonly frameBytes: number;
  readonly openJob: number;
  lastPts: bigint;
}

/** A submission that the host waits for. */
export interface Submitted {
  readonly stream: Stream;
  readonly isFrame: boolean;
  readonly tag: number;
  readonly pts: bigint;
  readonly output: number;
  readonly outputBytes: number;
  /** The frame's pieces, held until the codec is done with them. */
  readonly source: readonly DmaRange[];
}

/** Submissions by job id. */
export class Submissions {
  readonly #waiting = new Map<number, Submitted>();
  /** Frames that the codec was working on when their stream ended: their memory is held until it is done. */
  readonly #abandoned = new Map<number, readonly DmaRange[]>();
  #pieces = 0;

  /** Whether the codec has no submission of the running stream. */
  get idle(): boolean {
    return this.#waiting.size === 0;
  }

  /** Number of pieces of frames held. */
  get pieces(): number {
    return this.#pieces;
  }

  get(job: number): Submitted | undefined {
    return this.#waiting.get(job);
  }

  add(job: number, submitted: Submitted): void {
    this.#waiting.set(job, submitted);
    this.#pieces += submitted.source.length;
  }

  /** Releases the frame of a finished job. Returns its submission, unless its stream has ended. */
  take(job: number): Submitted | undefined {
    const submitted = this.#waiting.get(job);
    this.#waiting.delete(job);
    this.#release(submitted?.source ?? this.#abandoned.get(job));
    this.#abandoned.delete(job);
    return submitted;
  }

  /** Ends the stream: releases its frames, except that of the job that the codec has begun. */
  end(begun: number | undefined): void {
    for (const [job, { source }] of this.#waiting) {
      if (job === begun) this.#abandoned.set(job, source);
      else this.#release(source);
    }
    this.#waiting.clear();
  }

  #release(source: readonly DmaRange[] = []): void {
    release(source);
    this.#pieces -= source.length;
  }
}
