/** Carries a campaign out: its runs one after the other, until one fails. */

import { join } from "node:path";
import { asyncProperty, check, type Parameters, stringify } from "fast-check";
import type { Campaign, CampaignResult, Counts } from "./campaign.ts";
import { within } from "./program.ts";

export interface CarryOutOptions {
  readonly runs?: number | undefined;
  readonly seed: number;
  /** Of a failure: runs only the shortest case that was found then. */
  readonly path?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onRun?: (runs: number) => void;
}

const SAMPLES = 10;
const ROOT = join(import.meta.dir, "../../");

/** Throws what opening the campaign throws. A failed run is part of the result. */
export async function carryOut(
  campaign: Campaign,
  { runs = campaign.runs, seed, path, signal, onRun }: CarryOutOptions,
): Promise<CampaignResult> {
  const startMs = performance.now();
  const counts: Record<string, number> = {};
  const samples: { runs: number; figures: Counts }[] = [];
  let done = 0;
  /** From then on fast-check looks for a shorter case. */
  let failed = false;
  await using rig = await campaign.open();
  const sampleEvery = Math.max(1, Math.floor(runs / SAMPLES));
  const property = asyncProperty(campaign.cases, async (one) => {
    // fast-check knows no other end than a time limit.
    if (signal?.aborted) return;
    const hangs = () => `the run did not end within ${campaign.limitMs} ms: it hangs`;
    const counted = await within(rig.run(one), campaign.limitMs, hangs).catch((error) => {
      failed = true;
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
    ...{ numRuns: path === undefined ? runs : 1, seed },
    ...(path !== undefined && { path, endOnFailure: true }),
  };
  const details = await check(property, parameters);
  const wrong = details.failed ? undefined : await rig.finish?.().catch((error: Error) => error);
  const result = {
    ...{ name: campaign.name, about: campaign.about, seed, runs: done },
    seconds: Math.round((performance.now() - startMs) / 1000),
    ...{ counts, samples },
  };
  if (wrong)
    return {
      ...result,
      failure: {
        case: `all ${done} runs together`,
        error: wrong.message,
        command: `bun run campaign.ts ${campaign.name} --seed ${seed} --runs ${runs}`,
      },
    };
  const { errorInstance: error } = details;
  if (!details.failed) return result;
  const found = details.counterexamplePath ?? "";
  return {
    ...result,
    failure: {
      case: stringify(details.counterexample?.[0]),
      error: wordError(error),
      command: `bun run campaign.ts ${campaign.name} --seed ${seed} --path ${found}`,
    },
  };
}

/** With its stack, in which files are named from the clone's root on, and what caused it. */
function wordError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const words = (error.stack ?? error.message).replaceAll(ROOT, "");
  return error.cause === undefined ? words : `${words}\nbecause of: ${wordError(error.cause)}`;
}
