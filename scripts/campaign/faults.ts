/** Faults that the encoder's model injects: the driver recovers, and no frame is lost, wrong or twice. */
import { array, constantFrom, integer, record, uniqueArray } from "fast-check";
import { listFaultKinds } from "../../src/model/fault-injection.ts";
import { endpointFaultKinds } from "../../src/vp9/model/faults.ts";
import { type Campaign, type Counts, campaign } from "./campaign.ts";
import {
  encodeWithFaults,
  type FaultCase,
  type FaultChoice,
  type FaultRun,
  timestampOf,
} from "./fault-run.ts";

const MOST_FRAMES = 24;
/** With so many recoveries two faults that strike once must not end an encoding, on a busy machine either. */
const ENOUGH = 6;

const kinds = Object.keys(endpointFaultKinds.kinds);
const timed = new Set(
  listFaultKinds(endpointFaultKinds).flatMap(([form]) => /^(.*)@N=MS$/.exec(form)?.[1] ?? []),
);
const needsTime = (kind: string): boolean => timed.has(kind);

const fault = record({
  kind: constantFrom(...kinds),
  at: constantFrom(...Array.from({ length: MOST_FRAMES }, (_, i) => i + 1), 0.05, 0.2),
  forMs: constantFrom(0, 0, 0, 20, 200),
}).map((one) => ({ ...one, forMs: needsTime(one.kind) ? Math.max(one.forMs, 20) : one.forMs }));

const cases = record<FaultCase>({
  codec: constantFrom("null", "libvpx"),
  path: constantFrom("dma", "window"),
  inFlight: integer({ min: 1, max: 16 }),
  frames: integer({ min: 1, max: MOST_FRAMES }),
  keys: uniqueArray(integer({ min: 0, max: MOST_FRAMES - 1 }), { maxLength: 3 }),
  model: constantFrom("here", "own", "apart"),
  recover: constantFrom(ENOUGH, ENOUGH, ENOUGH, 1, 0),
  faults: array(fault, { minLength: 1, maxLength: 2 }),
  seed: integer({ min: 0, max: 999 }),
});

/** Chunks of encodings without a fault, by where they start: a device that recovers goes on as one that is started there. */
class References {
  readonly #known = new Map<string, Promise<FaultRun>>();

  from(start: number, { codec, keys, path }: FaultCase): Promise<FaultRun> {
    const name = JSON.stringify([codec, keys, start]);
    const known = this.#known.get(name);
    if (known) return known;
    const clean = { codec, keys, path, inFlight: 4, frames: MOST_FRAMES, recover: 0, seed: 0 };
    const made = encodeWithFaults({ ...clean, model: "here", faults: [] }, start).then((run) => {
      if (run.error) throw new Error("an encoding without a fault failed", { cause: run.error });
      return run;
    });
    this.#known.set(name, made);
    return made;
  }
}

/** How many streams the chunks are of. Throws Error for a chunk that no encoding without a fault gives. */
async function countStarts(one: FaultCase, run: FaultRun, references: References): Promise<number> {
  let starts = 1;
  let at = 0;
  for (const [i, chunk] of run.chunks.entries()) {
    const expected = async () => (await references.from(at, one)).chunks[i - at];
    if (chunk.timestamp !== timestampOf(i))
      throw new Error(`chunk ${i} has the time of frame ${chunk.timestamp / timestampOf(1)}`);
    if (Bun.deepEquals(chunk, await expected())) continue;
    at = i;
    starts++;
    if (!Bun.deepEquals(chunk, await expected()))
      throw new Error(`chunk ${i} is neither the next one nor the first of a new stream`);
  }
  return starts;
}

/** Whether the faults strike so rarely that nothing but a fault of ours can end the encoding. */
function mustRecover({ faults, frames, model, recover }: FaultCase): boolean {
  const isRare = ({ kind, at, forMs }: FaultChoice): boolean => {
    if (at < 1 || (forMs > 0 && !needsTime(kind))) return false;
    if (kind !== "die" || at > frames) return true;
    // Each model that is started dies at its own frame `at`.
    return model === "own" && at > 1 && Math.ceil(frames / (at - 1)) < recover;
  };
  return recover >= ENOUGH && faults.every(isRare);
}

function describe({ faults }: FaultCase, { error, recoveries }: FaultRun): Counts {
  const outcome = error ? "ended" : recoveries.length > 0 ? "recovered" : "went on unharmed";
  const counts: Record<string, number> = { [`in all ${outcome}`]: 1, recoveries: recoveries.length };
  const [first, ...others] = new Set(faults.map(({ kind }) => kind));
  if (others.length === 0) counts[`${first} alone ${outcome}`] = 1;
  return counts;
}

async function run(one: FaultCase, references: References): Promise<Counts> {
  const done = await encodeWithFaults(one);
  const { chunks, recoveries, error } = done;
  const starts = await countStarts(one, done, references);
  if (starts - 1 > recoveries.length + (error ? 1 : 0))
    throw new Error(`the stream began ${starts} times, and ${recoveries.length} recoveries are reported`);
  if (!error && chunks.length !== one.frames)
    throw new Error(`${chunks.length} chunks came of ${one.frames} frames, and no error`);
  if (error && mustRecover(one))
    throw new Error("a fault that strikes once ended the encoding", { cause: error });
  return describe(one, done);
}

/** See scripts/campaign.ts. */
export const faultsCampaign: Campaign = campaign({
  name: "faults",
  about: "Encode on a model that injects one or two faults, and compare every packet",
  runs: 2000,
  limitMs: 60_000,
  cases,
  open: async () => {
    const references = new References();
    return {
      run: (one) => run(one, references),
      figures: () => ({ "RSS KiB": Math.round(process.memoryUsage().rss / 1024) }),
      [Symbol.asyncDispose]: async () => {},
    };
  },
});
