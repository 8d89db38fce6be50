/** The results of the penalty's rounds. */
import type { CaseResult } from "./case.ts";
import type { Spread } from "./spread.ts";

export const sides = ["host", "x86_64", "aarch64"] as const;
export type Side = (typeof sides)[number];

/** Portions of every frame; "start" and "finish" happen once. */
export const framePortions = ["read", "submit", "wait", "collect", "write"] as const;

/** All in ms. */
export interface SideResult {
  readonly name: Side;
  /** The guest's accelerator: kvm or tcg. */
  readonly accelerator: string | undefined;
  readonly kernel: string | undefined;
  readonly steadyFrameMs: Spread;
  /** Ratios of the rounds to the host in the same round. */
  readonly steadyRatio: Spread;
  readonly wallRatio: Spread;
  /** Per frame. */
  readonly portions: Readonly<Record<(typeof framePortions)[number], Spread>>;
  /** Per frame: the time that the codec worked on it. */
  readonly codec: Spread;
  readonly startMs: Spread;
  readonly finishMs: Spread;
  readonly wallMs: Spread;
}

export interface PenaltyResult extends CaseResult {
  readonly frames: number;
  readonly settings: readonly string[];
  readonly sides: readonly SideResult[];
}
