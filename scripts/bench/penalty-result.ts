/** What the penalty's rounds come to. */
import type { BenchResult } from "./case.ts";
import type { Spread } from "./spread.ts";

export const sides = ["host", "x86_64", "aarch64"] as const;
export type Side = (typeof sides)[number];

/** Portions that every frame has; "start" and "finish" happen once. */
export const framePortions = ["read", "submit", "wait", "collect", "write"] as const;

/** All in ms. */
export interface SideResult {
  readonly name: Side;
  /** How the guest's processor was had: kvm or tcg. */
  readonly accelerator: string | undefined;
  readonly kernel: string | undefined;
  readonly steadyFrameMs: Spread;
  /** The rounds' ratios to the same round's host. */
  readonly steadyRatio: Spread;
  readonly wallRatio: Spread;
  /** For each frame. */
  readonly portions: Readonly<Record<(typeof framePortions)[number], Spread>>;
  /** For each frame: time that the codec worked on it. */
  readonly codec: Spread;
  readonly startMs: Spread;
  readonly finishMs: Spread;
  readonly wallMs: Spread;
}

export interface PenaltyResult extends BenchResult {
  readonly frames: number;
  readonly settings: readonly string[];
  readonly sides: readonly SideResult[];
}
