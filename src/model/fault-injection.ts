/** Fault injection: a model's faults, by kind, each at some of the events that the model counts. */

/** A model's kinds of faults, and what each does to event N. */
export interface FaultKinds<Kind extends string> {
  /** What is counted: "frame". */
  readonly event: string;
  readonly kinds: Readonly<Record<Kind, FaultKind>>;
}

/** What a fault does. */
export interface FaultKind {
  readonly about: string;
  /** It can't do without its milliseconds: "KIND@N=MS". */
  readonly needsTime?: boolean;
  /** It delays its event by them, for `takeDelayMs`. */
  readonly delays?: boolean;
}

const isTimed = ({ needsTime, delays }: FaultKind): boolean => (needsTime || delays) ?? false;

/** One fault to inject. */
export interface Fault<Kind extends string> {
  readonly kind: Kind;
  /** The event that it strikes, counted from 1; or below 1 the probability with which it strikes each. */
  readonly at: number;
  /** Milliseconds for which it strikes all events from then on, or delays them; 0 for that event only. */
  readonly forMs: number;
  /** Of the sequence of pseudo-random numbers that a probability is compared with. */
  readonly seed: number;
}

/** How a list of faults is written, for people. */
export const faultForms = (event: string): string =>
  `A fault is KIND@N, at ${event} N, counted from 1; KIND@0.01, at each ${event} with this probability (seed=S in the list gives other ones); and with =MS, for so many milliseconds from then on.`;

/** "stall@N=MS", and what it does, for each kind. */
export function listFaultKinds<Kind extends string>({
  kinds,
}: FaultKinds<Kind>): [form: string, about: string][] {
  const entries = Object.entries<FaultKind>(kinds);
  return entries.map(([kind, of]) => [`${kind}@N${isTimed(of) ? "=MS" : ""}`, of.about]);
}

/** Parses a list such as "stall@3=200,corrupt@0.01,seed=7". Throws Error naming the invalid part. */
export function parseFaults<Kind extends string>(list: string, known: FaultKinds<Kind>): Fault<Kind>[] {
  let seed = 1;
  const faults: Omit<Fault<Kind>, "seed">[] = [];
  for (const part of list.split(",").filter(Boolean)) {
    const [, seedText] = /^seed=(\d{1,9})$/.exec(part) ?? [];
    if (seedText !== undefined) seed = Number(seedText);
    else faults.push(parseFault(part, known));
  }
  return faults.map((fault) => ({ ...fault, seed }));
}

function parseFault<Kind extends string>(part: string, known: FaultKinds<Kind>): Omit<Fault<Kind>, "seed"> {
  const form = /^([a-z-]+)@([1-9]\d{0,9}|0\.\d{1,9})(?:=(\d{1,7}))?$/;
  const [, kind = "", at, forMs] = form.exec(part) ?? [];
  const isKnown = Object.hasOwn(known.kinds, kind);
  const needsTime = isKnown && isTimed(known.kinds[kind as Kind]);
  if (isKnown && !(needsTime && forMs === undefined))
    return { kind: kind as Kind, at: Number(at), forMs: Number(forMs ?? 0) };
  const lines = listFaultKinds(known).map(([form, about]) => `\n  ${form}  ${about}`);
  throw new Error(`unknown fault "${part}". ${faultForms(known.event)}${lines.join("")}`);
}

/** Faults that strike an event, by kind, and for how many milliseconds each does; 0 if for that event only. */
export type Strikes<Kind extends string = string> = ReadonlyMap<Kind, number>;

/** Counts the events since the model's power-on, and says which faults strike. */
export class FaultPlan<Kind extends string> {
  readonly #faults: readonly {
    readonly fault: Fault<Kind>;
    readonly random: () => number;
    untilMs: number;
  }[];
  #delays: ReadonlySet<string>;
  #events = 0;
  /** What strikes the next event, if that has been asked. */
  #next: Strikes<Kind> | undefined;
  #delayTaken = false;

  /** `known`: for the kinds that delay. */
  constructor(faults: readonly Fault<Kind>[], known?: FaultKinds<Kind>) {
    this.#faults = faults.map((fault, i) => ({ fault, random: randomNumbers(fault.seed + i), untilMs: 0 }));
    const kinds = Object.entries<FaultKind>(known?.kinds ?? {});
    this.#delays = new Set(kinds.filter(([, { delays }]) => delays).map(([kind]) => kind));
  }

  /** How long the next event is delayed; 0 if asked again. */
  takeDelayMs(): number {
    if (this.#delayTaken) return 0;
    this.#delayTaken = true;
    let delayMs = 0;
    for (const [kind, forMs] of this.#peek()) if (this.#delays.has(kind)) delayMs = Math.max(delayMs, forMs);
    return delayMs;
  }

  /** Counts an event, and says what strikes it. */
  strike(): Strikes<Kind> {
    const struck = this.#peek();
    this.#events++;
    this.#next = undefined;
    this.#delayTaken = false;
    return struck;
  }

  #peek(): Strikes<Kind> {
    this.#next ??= this.#decide(this.#events + 1);
    return this.#next;
  }

  #decide(event: number): Strikes<Kind> {
    const nowMs = performance.now();
    const struck = new Map<Kind, number>();
    for (const one of this.#faults) {
      const { kind, at, forMs } = one.fault;
      const begins = at < 1 ? one.random() < at : at === event;
      if (begins) one.untilMs = this.#delays.has(kind) ? 0 : nowMs + forMs;
      if (begins || nowMs < one.untilMs) struck.set(kind, forMs);
    }
    return struck;
  }
}

/** Pseudo-random numbers from 0 to 1, the same for the same seed: Marsaglia's xorshift, "Xorshift RNGs", 2003. */
function randomNumbers(seed: number): () => number {
  let state = (Math.imul(seed, 0x9e37_79b9) ^ 0x85eb_ca6b) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
