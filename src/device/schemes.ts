/** Device schemes that higher layers register. The text before a spec's first colon names the scheme. */
import type { OpenOptions, PciDevice } from "./device.ts";

export interface DeviceScheme {
  /** Without the colon. */
  readonly name: string;
  /** A spec and what it opens, for messages: "model:NAME for a software model". */
  readonly example: string;
  /** Throws DeviceError. */
  open(spec: string, options: OpenOptions): PciDevice;
  /** Resolves when `open` no longer has to wait. Rejects with DeviceError. */
  ready?(spec: string): Promise<void>;
}

const schemes = new Map<string, DeviceScheme>();

/** Makes openDevice accept `NAME:...`. Each program registers the schemes that it supports. */
export function registerScheme(scheme: DeviceScheme): void {
  schemes.set(scheme.name, scheme);
}

export function schemeOf(spec: string): DeviceScheme | undefined {
  const colon = spec.indexOf(":");
  return colon < 0 ? undefined : schemes.get(spec.slice(0, colon));
}

export function schemeExamples(): readonly string[] {
  return [...schemes.values()].map(({ example }) => example);
}
