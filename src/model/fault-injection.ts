/** Fault injection: a model's faults, by kind, each at the Nth of the events that the model counts. */

/** A model's kinds of faults, and what each does to event N; an `about` that names MS takes a delay: "KIND@N=MS". */
export interface FaultKinds<Kind extends string> {
  /** What is counted: "frame". */
  readonly event: string;
  readonly kinds: Readonly<Record<Kind, { readonly about: string; readonly delays?: boolean }>>;
}

/** One fault to inject. */
export interface Fault<Kind extends string> {
  readonly kind: Kind;
  /** The event that it strikes, from 1. */
  readonly at: number;
  /** Milliseconds, for a kind that delays; else 0. */
  readonly delayMs: number;
}

/** "stall@N=MS", and what it does, for each kind. */
export function listFaultKinds<Kind extends string>({
  kinds,
}: FaultKinds<Kind>): [form: string, about: string][] {
  const entries = Object.entries<{ about: string; delays?: boolean }>(kinds);
  return entries.map(([kind, { about, delays }]) => [`${kind}@N${delays ? "=MS" : ""}`, about]);
}

/** Parses a list such as "stall@3=200,die@10". Throws Error naming the invalid part. */
export function parseFaults<Kind extends string>(list: string, known: FaultKinds<Kind>): Fault<Kind>[] {
  return list
    .split(",")
    .filter((part) => part !== "")
    .map((part) => {
      const [, kind = "", at, delayMs] = /^([a-z-]+)@([1-9]\d*)(?:=(\d{1,7}))?$/.exec(part) ?? [];
      const delays = Object.hasOwn(known.kinds, kind) && (known.kinds[kind as Kind].delays ?? false);
      if (!Object.hasOwn(known.kinds, kind) || delays !== (delayMs !== undefined)) {
        const lines = listFaultKinds(known).map(([form, about]) => `\n  ${form}  ${about}`);
        throw new Error(`unknown fault "${part}"; ${known.event}s count from 1:${lines.join("")}`);
      }
      return { kind: kind as Kind, at: Number(at), delayMs: Number(delayMs ?? 0) };
    });
}

/** Counts the events since the model's power-on, and says which faults strike. */
export class FaultPlan<Kind extends string> {
  readonly #faults: readonly Fault<Kind>[];
  readonly #delayed = new Set<Fault<Kind>>();
  #events = 0;

  constructor(faults: readonly Fault<Kind>[]) {
    this.#faults = faults;
  }

  /** How long the next event is delayed; 0 if asked again. */
  takeDelayMs(): number {
    const next = this.#events + 1;
    const delay = this.#faults.find(({ at, delayMs }) => delayMs > 0 && at === next);
    if (!delay || this.#delayed.has(delay)) return 0;
    this.#delayed.add(delay);
    return delay.delayMs;
  }

  /** Counts an event, and says what strikes it. */
  strike(): ReadonlySet<Kind> {
    this.#events++;
    return new Set(this.#faults.filter(({ at }) => at === this.#events).map(({ kind }) => kind));
  }
}
