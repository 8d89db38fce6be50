/** Carries a campaign out: its runs one after the other, until one fails. */
import { asyncProperty, check, type Parameters, stringify } from "fast-check";
import type { Campaign, CampaignResult, Counts } from "./campaign.ts";

export interface CarryOutOptions {
  readonly runs?: number | undefined;
  readonly seed: number;
  /** Of a failure: runs only the shortest case that was found then. */
  readonly path?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onRun?: (runs: number) => void;
}

const SAMPLES = 10;

/** Throws what opening the campaign throws. A failed run is part of the result. */
export async function carryOut(
  campaign: Campaign,
  { runs = campaign.runs, seed, path: only, signal, onRun }: CarryOutOptions,
): Promise<CampaignResult> {
  const startMs = performance.now();
  const counts: Record<string, number> = {};
  const samples: { runs: number; figures: Counts }[] = [];
  let done = 0;
  /** The last case that failed. From the first one on fast-check looks for a shorter one. */
  let failed: { readonly one: unknown; readonly error: unknown } | undefined;
  await using rig = await campaign.open();
  const sampleEvery = Math.max(1, Math.floor(runs / SAMPLES));
  const property = asyncProperty(campaign.cases, async (one) => {
    const counted = await within(campaign.limitMs, rig.run(one)).catch((error) => {
      failed = { one, error };
      throw error;
    });
    if (failed) return;
    for (const [name, count] of Object.entries(counted)) counts[name] = (counts[name] ?? 0) + count;
    done++;
    onRun?.(done);
    if (rig.figures && (done === 1 || done % sampleEvery === 0))
      samples.push({ runs: done, figures: await rig.figures() });
  });
  const parameters: Parameters<[unknown]> = {
    ...{ numRuns: runs, seed },
    ...(only !== undefined && { path: only, endOnFailure: true }),
  };
  // Ctrl-C ends it after the run under way; fast-check itself knows time limits only.
  const stoppable = property.beforeEach(() => {
    if (signal?.aborted) throw new Stopped();
  });
  const details = await check(stoppable, parameters).catch((error) => {
    if (error instanceof Stopped) return undefined;
    throw error;
  });
  const result = {
    ...{ name: campaign.name, about: campaign.about, seed, runs: done },
    seconds: Math.round((performance.now() - startMs) / 1000),
    ...{ counts, samples },
  };
  if (!failed) return result;
  const command = `bun run campaign.ts ${campaign.name} --seed ${seed}`;
  const path = details?.counterexamplePath;
  return {
    ...result,
    failure: {
      case: stringify(failed.one),
      error: wordError(failed.error),
      // Stopped while it looked for a shorter one, it only knows the run.
      command: path ? `${command} --path ${path}` : `${command} --runs ${done + 1}`,
    },
  };
}

/** With its stack, and what caused it. */
function wordError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const words = error.stack ?? error.message;
  return error.cause === undefined ? words : `${words}\nbecause of: ${wordError(error.cause)}`;
}

class Stopped extends Error {}

/** The result of a run, or a failure if it does not end in time: then it is lost, and so is what it holds. */
async function within<T>(limitMs: number, run: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`the run did not end within ${limitMs} ms: it hangs`)),
    limitMs,
  );
  try {
    return await Promise.race([run, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
