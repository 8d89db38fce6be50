/** A campaign: many runs of one kind, each made from a seed, and what must be true of every run. */
import type { Arbitrary } from "fast-check";

/** What may be counted of a run, and added up: "wedge, recovered": 1, "messages": 4231. */
export type Counts = Readonly<Record<string, number>>;

/** Figures that must not grow with the runs: descriptors, bytes of memory. */
export type Figures = Readonly<Record<string, number>>;

export interface Campaign<Case = unknown> {
  readonly name: string;
  /** One line for --help: what a run does. */
  readonly about: string;
  /** Runs by default. */
  readonly runs: number;
  /** No run may take longer; one that does has found a hang. */
  readonly limitMs: number;
  /** What a run may be made of. fast-check makes it shorter as long as it fails. */
  readonly cases: Arbitrary<Case>;
  /** Starts what all runs use. */
  open(): Promise<Rig<Case>>;
}

/** What the runs of a campaign use. */
export interface Rig<Case = unknown> extends AsyncDisposable {
  /** One run. Throws Error: what was wrong. */
  run(one: Case): Promise<Counts>;
  /** Taken at ten points of the campaign. */
  figures?(): Figures | Promise<Figures>;
  /** Called after the last run, if none failed. Throws Error: what all of them together did wrong. */
  finish?(): Promise<void>;
}

/** A campaign as it was carried out, for --json and docs/reliability.md. */
export interface CampaignResult {
  readonly name: string;
  readonly about: string;
  readonly seed: number;
  readonly runs: number;
  readonly seconds: number;
  readonly counts: Counts;
  /** The figures after so many runs. */
  readonly samples: readonly { readonly runs: number; readonly figures: Figures }[];
  readonly failure?: {
    /** The shortest case found that fails, in JSON. */
    readonly case: string;
    readonly error: string;
    /** The command that runs it again. */
    readonly command: string;
  };
}

/** For `campaigns` of different cases in one list. */
export function campaign<Case>(one: Campaign<Case>): Campaign {
  return one as Campaign;
}
