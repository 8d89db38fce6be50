/** The faults that every model can inject, whatever it counts. */
import type { FaultKinds, FaultPlan, Strikes } from "./fault-injection.ts";

const kindsOf = (event: string) => ({
  "drop-interrupt": { about: `the interrupt of ${event} N is not raised` },
  "spurious-interrupt": { about: `at ${event} N one interrupt more is raised, for no reason` },
  "storm-interrupt": { about: `from ${event} N on interrupts are raised all the time`, needsTime: true },
  die: { about: `the model is killed at ${event} N` },
  ones: {
    about: `from ${event} N on every register reads as all ones, as when the link is down, until the device is reset`,
  },
  "self-reset": { about: `at ${event} N the device resets itself, but not its configuration space` },
  "config-error": {
    about: `from ${event} N on reads of configuration space fail, until the device is reset`,
  },
  "unmapped-dma": { about: `after ${event} N the device accesses an address that is not mapped, once` },
});

/** The kinds that a model takes: these, and its own, which may do one of these in another way. */
export function allFaultKinds(own: FaultKinds<string> | undefined): FaultKinds<string> {
  const event = own?.event ?? "interrupt";
  return { event, kinds: { ...kindsOf(event), ...own?.kinds } };
}

/** What faults are carried out on. */
export interface FaultyDevice {
  raise(): void;
  die(): void;
  /** Calls `act` once, unless a reset comes before. */
  after(delayMs: number, act: () => void): void;
  reset(): void;
}

/** Turns something on for the milliseconds of a strike, if there is one: until a reset if they are 0. */
export function lasting(
  device: Pick<FaultyDevice, "after">,
  forMs: number | undefined,
  turn: (isOn: boolean) => void,
): void {
  if (forMs === undefined) return;
  turn(true);
  if (forMs > 0) device.after(forMs, () => turn(false));
}

/** How often a storm raises its interrupts, and how many at a time: an eventfd counts them all. */
const STORM_MS = 1;
const STORM_INTERRUPTS = 50;

/** A device's injected faults. */
export class CommonFaults {
  readonly #plan: FaultPlan<string>;
  readonly #device: FaultyDevice;
  /** Every register reads as all ones. */
  silent = false;
  /** Configuration space can't be read. */
  configFails = false;
  #unmapped = false;
  #storming = false;

  constructor(plan: FaultPlan<string>, device: FaultyDevice) {
    this.#plan = plan;
    this.#device = device;
  }

  /** Ends what lasts until a reset. */
  reset(): void {
    this.silent = this.configFails = this.#unmapped = this.#storming = false;
  }

  takeDelayMs(): number {
    return this.#plan.takeDelayMs();
  }

  /** Whether the access to the host's memory that begins goes to an address that is not mapped. */
  takeUnmapped(): boolean {
    const unmapped = this.#unmapped;
    this.#unmapped = false;
    return unmapped;
  }

  /** Counts an event, carries out what strikes it, and returns it. */
  strike(): Strikes {
    const struck = this.#plan.strike();
    if (struck.size === 0) return struck;
    const device = this.#device;
    if (struck.has("die")) device.die();
    lasting(device, struck.get("ones"), (isOn) => (this.silent = isOn));
    lasting(device, struck.get("config-error"), (isOn) => (this.configFails = isOn));
    if (struck.has("unmapped-dma")) this.#unmapped = true;
    if (struck.has("spurious-interrupt")) device.raise();
    // When the handler that counts this event has ended: it goes on with what it has.
    if (struck.has("self-reset")) device.after(0, () => device.reset());
    const stormMs = struck.get("storm-interrupt");
    if (stormMs !== undefined && !this.#storming) this.#storm(performance.now() + stormMs);
    return struck;
  }

  #storm(untilMs: number): void {
    for (let i = 0; i < STORM_INTERRUPTS; i++) this.#device.raise();
    this.#storming = performance.now() < untilMs;
    if (this.#storming) this.#device.after(STORM_MS, () => this.#storm(untilMs));
  }
}
