/** The submissions that the codec has, with the memory that their frames lie in. */
import type { DmaRange } from "../../model/shared-mapping.ts";
import { type EndpointMemory, release } from "./endpoint-memory.ts";

/** What START took up: registers written later are for the next stream. */
export interface Stream {
  readonly memory: EndpointMemory;
  /** Host memory is reached with bus mastering only, and faults there are the bus's. */
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

/** Submissions by the ids of their jobs. */
export class Submissions {
  readonly #waiting = new Map<number, Submitted>();
  /** Frames of streams that ended while the codec was working on them: their memory is held until it is done. */
  readonly #abandoned = new Map<number, readonly DmaRange[]>();
  #pieces = 0;

  /** Whether the codec has none of the stream that runs. */
  get idle(): boolean {
    return this.#waiting.size === 0;
  }

  /** How many pieces of frames are held. */
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

  /** Lets go of the frame of a job that is done; its submission, if it is not of a stream that has ended. */
  take(job: number): Submitted | undefined {
    const submitted = this.#waiting.get(job);
    this.#waiting.delete(job);
    this.#release(submitted?.source ?? this.#abandoned.get(job));
    this.#abandoned.delete(job);
    return submitted;
  }

  /** The stream has ended: only the frame of the job that the codec has begun is held on to. */
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
