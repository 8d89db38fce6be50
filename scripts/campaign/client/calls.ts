/** Carries a script out on a device that is opened for it, and looks at what each call comes to. */
import { readFileSync } from "node:fs";
import {
  DeviceError,
  type DmaMemory,
  type Interrupt,
  type InterruptKind,
  type PciDevice,
} from "../../../src/device/device.ts";
import { openDevice } from "../../../src/device/open.ts";
import { openFiles } from "../open-files.ts";
import type { Call, Report, Script } from "./script.ts";

/** What a call may take more than its requests' time limits, on a machine with other work. */
const ALLOWANCE_MS = 3000;
/** The end of a header and its payload have a time limit each. */
const LIMITS_A_REQUEST = 2;
/** Of a close: configuration space, five kinds of interrupts, all memories. */
const CLOSE_REQUESTS = 20;
/** How long after a script all may take to be closed. */
const CLOSE_MS = 500;
/** What an access to a mapped part of a device throws after close. */
const UNMAPPED = "this mapping is already unmapped";
/** Waiting serves the server's requests for up to 1000 ms. */
const SERVING_REQUESTS = 6;

/** Throws nothing. */
export async function carryOutScript(spec: string, script: Script): Promise<Report> {
  const before = held();
  const running = new RunningScript(spec, script);
  await running.run();
  let after = held();
  // The event loop closes what it waited for a moment later.
  for (
    const deadlineMs = performance.now() + CLOSE_MS;
    after !== before && performance.now() < deadlineMs;
  ) {
    await Bun.sleep(1);
    after = held();
  }
  const mistake =
    running.mistake ?? (after === before ? undefined : `held before: ${before}; after: ${after}`);
  return { outcomes: running.outcomes, ...(mistake !== undefined && { mistake }) };
}

/** Descriptors and mappings that a device could leave behind. */
function held(): string {
  const maps = readFileSync("/proc/self/maps", "latin1").match(/memfd:(campaign|vfiokit-dma)/g);
  return `${openFiles("self").sort().join(" ")}, ${maps?.length ?? 0} mappings`;
}

class RunningScript {
  readonly #spec: string;
  readonly #script: Script;
  #device: PciDevice | undefined;
  readonly #memories: DmaMemory[] = [];
  /** Those that are not closed, by kind. */
  readonly #interrupts = new Map<InterruptKind, readonly Interrupt[]>();
  readonly outcomes: Record<string, number> = {};
  mistake: string | undefined;
  #isClosed = false;

  constructor(spec: string, script: Script) {
    this.#spec = spec;
    this.#script = script;
  }

  async run(): Promise<void> {
    const { calls, ...options } = this.#script;
    // VERSION, information, nine regions asked twice each, the command register read and written.
    await this.#call("open", 24, () => {
      this.#device = openDevice(this.#spec, options);
    });
    const device = this.#device;
    if (!device) return;
    for (const call of calls) {
      const requests = requestsOf(call) + ("ms" in call ? call.ms / options.timeoutMs : 0);
      await this.#call(JSON.stringify(call), requests, () => this.#do(device, call), isWrong(device, call));
    }
    await this.#call("close", CLOSE_REQUESTS, () => device[Symbol.dispose]());
  }

  /** `mayRefuse`: the arguments are wrong, so that RangeError is right. */
  async #call(name: string, requests: number, act: () => unknown, mayRefuse = false): Promise<void> {
    const startMs = performance.now();
    let outcome = "returned";
    try {
      await act();
    } catch (error) {
      const isRight =
        error instanceof DeviceError ||
        (error instanceof RangeError && mayRefuse) ||
        (this.#isClosed && (error as Error).message === UNMAPPED);
      outcome = error instanceof Error ? error.name : String(error);
      if (!isRight) this.mistake ??= `${name} threw ${error instanceof Error ? error.stack : String(error)}`;
    }
    this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1;
    const tookMs = performance.now() - startMs;
    const limitMs = requests * LIMITS_A_REQUEST * this.#script.timeoutMs + ALLOWANCE_MS;
    if (tookMs > limitMs)
      this.mistake ??= `${name} took ${Math.round(tookMs)} ms; it has ${Math.round(limitMs)} (${outcome})`;
  }

  #do(device: PciDevice, call: Call): unknown {
    switch (call.call) {
      case "read":
        return device.bars[call.bar]![`read${call.bits}`](call.offset);
      case "write":
        if (call.bits === 64) return device.bars[call.bar]!.write64(call.offset, 0x1234_5678_9abc_def0n);
        return device.bars[call.bar]![`write${call.bits}`](call.offset, 0x5a);
      case "copyIn":
        return device.bars[call.bar]!.copyIn(call.offset, new Uint8Array(new ArrayBuffer(call.sizeBytes)));
      case "copyOut":
        return device.bars[call.bar]!.copyOut(call.offset, new Uint8Array(new ArrayBuffer(call.sizeBytes)));
      case "config":
        if (call.write) return device.config[`write${call.bits}`](call.offset, 6);
        return device.config[`read${call.bits}`](call.offset);
      case "allocate": {
        const { sizeBytes, addressBits } = call;
        return this.#memories.push(
          device.allocateDma(sizeBytes, addressBits === undefined ? {} : { addressBits }),
        );
      }
      case "touch":
        return this.#memories[call.index]?.bytes().fill(1);
      case "free":
        return this.#memories.splice(call.index, 1)[0]?.[Symbol.dispose]();
      case "count":
        return device.interruptCount(call.kind);
      case "disable":
        return device.disableInterrupts(call.kind);
      case "enable":
        // Those of before are closed, also if this fails.
        this.#interrupts.delete(call.kind);
        this.#interrupts.set(call.kind, device.enableInterrupts(call.kind, call.count));
        return;
      case "take":
        return this.#interrupt(call.index)?.take();
      case "wait":
        return this.#interrupt(call.index)?.wait(call.ms);
      case "waitAsync":
        return this.#interrupt(call.index)?.waitAsync(call.ms);
      case "unmask":
        return device.unmaskIntx();
      case "reset":
        return device.reset();
      case "close":
        device[Symbol.dispose]();
        this.#isClosed = true;
        this.#memories.length = 0;
        this.#interrupts.clear();
        return;
      case "sleep":
        return Bun.sleep(call.ms);
    }
  }

  #interrupt(index: number): Interrupt | undefined {
    return [...this.#interrupts.values()].flat()[index];
  }
}

/** Requests that a call may take, each with its time limit. */
function requestsOf(call: Call): number {
  switch (call.call) {
    case "copyIn":
    case "copyOut":
      return 10;
    case "enable":
      return call.count + 2;
    case "reset":
      return 3;
    case "close":
      return CLOSE_REQUESTS;
    case "take":
    case "wait":
    case "waitAsync":
    case "sleep":
      return SERVING_REQUESTS;
    default:
      return 1;
  }
}

/** Whether the arguments are such that the call must refuse them. */
function isWrong({ bars, config }: PciDevice, call: Call): boolean {
  if (call.call === "config") {
    const width = call.bits / 8;
    return call.offset % width !== 0 || call.offset + width > config.sizeBytes;
  }
  if (call.call === "read" || call.call === "write") {
    const width = call.bits / 8;
    return call.offset % width !== 0 || call.offset + width > bars[call.bar]!.sizeBytes;
  }
  if (call.call !== "copyIn" && call.call !== "copyOut") return false;
  return call.offset + Math.ceil(call.sizeBytes / 8) * 8 > bars[call.bar]!.sizeBytes;
}
