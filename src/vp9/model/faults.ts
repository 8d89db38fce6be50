/** Fault injection: faults that a device model can be given, to test a driver's recovery. */

export const faultKinds = {
  "drop-interrupt": "frame N completes, but no interrupt says so",
  stall: "frame N and those after it complete MS milliseconds late: stall@N=MS",
  wedge: "from frame N on nothing completes, until a reset",
  die: "the model is killed when frame N would complete",
  ones: "from frame N on every register reads as all ones, as when the link is down, until the device is reset",
  corrupt: "frame N completes with a tag that was never submitted",
} as const;

export type FaultKind = keyof typeof faultKinds;

export interface Fault {
  readonly kind: FaultKind;
  /** Frame that it strikes, from 1. */
  readonly frame: number;
  /** Milliseconds, for "stall". */
  readonly ms: number;
}

/** Parses a list such as "stall@3=200,die@10". Throws Error naming the invalid part. */
export function parseFaults(list: string): Fault[] {
  return list
    .split(",")
    .filter((part) => part !== "")
    .map((part) => {
      const match = /^([a-z-]+)@([1-9]\d*)(?:=(\d{1,7}))?$/.exec(part);
      const kind = match?.[1];
      if (
        !match ||
        kind === undefined ||
        !Object.hasOwn(faultKinds, kind) ||
        (kind === "stall") !== (match[3] !== undefined)
      ) {
        const known = Object.entries(faultKinds).map(([name, about]) => `  ${name}@N  ${about}`);
        throw new Error(
          `fault "${part}" is none that can be ordered; frames count from 1:\n${known.join("\n")}`,
        );
      }
      return { kind: kind as FaultKind, frame: Number(match[2]), ms: Number(match[3] ?? 0) };
    });
}

/** Counts the completed frames since the model's power-on, and says which faults strike. */
export class FaultPlan {
  readonly #faults: readonly Fault[];
  readonly #stalled = new Set<Fault>();
  #completed = 0;

  constructor(faults: readonly Fault[]) {
    this.#faults = faults;
  }

  /** Delay of the next frame's completion; 0 if asked again. */
  takeStallMs(): number {
    const next = this.#completed + 1;
    const stall = this.#faults.find(({ kind, frame }) => kind === "stall" && frame === next);
    if (!stall || this.#stalled.has(stall)) return 0;
    this.#stalled.add(stall);
    return stall.ms;
  }

  /** The faults that strike the frame that completes now. */
  strike(): ReadonlySet<FaultKind> {
    this.#completed++;
    return new Set(this.#faults.filter(({ frame }) => frame === this.#completed).map(({ kind }) => kind));
  }
}
