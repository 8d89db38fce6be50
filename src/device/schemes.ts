/** Ways to a device that higher floors bring: what stands before the first colon of a spec says which. */
import type { OpenOptions, PciDevice } from "./device.ts";

export interface DeviceScheme {
  /** Without the colon. */
  readonly name: string;
  /** What a spec of it opens, for messages: "model:NAME for a software model". */
  readonly example: string;
  /** Throws DeviceError. */
  open(spec: string, options: OpenOptions): PciDevice;
  /** Resolves when `open` need not wait any more. Rejects with DeviceError. */
  ready?(spec: string): Promise<void>;
}

const schemes = new Map<string, DeviceScheme>();

/** Where a program is put together: makes openDevice take `NAME:...`. */
export function registerScheme(scheme: DeviceScheme): void {
  schemes.set(scheme.name, scheme);
}

export function schemeOf(spec: string): DeviceScheme | undefined {
  return schemes.get(spec.split(":", 1)[0]!);
}

export function schemeExamples(): readonly string[] {
  return [...schemes.values()].map(({ example }) => example);
}
