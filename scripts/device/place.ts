/** Where a device verb reads and writes: a BAR or configuration space, and an offset in it. */
import type { ConfigSpace, PciDevice, Region } from "../../src/device/device.ts";
import { CONFIG_BYTES } from "../../src/pci/config-offsets.ts";
import type { Width } from "../../src/registers/table.ts";
import { wholeNumber } from "../cli/number.ts";
import { UsageError } from "../cli/usage-error.ts";

/** The values of `--width`. */
export const widths = ["8", "16", "32", "64"];
/** Most words per command: 8 MiB of the widest. */
export const MAX_COUNT = 2 ** 20;
const LAST_BAR = 5;

export interface Place {
  /** A BAR's number, or configuration space. */
  readonly space: number | "config";
  readonly offset: number;
}

/** The part of a device that places need. */
export type Opened = Pick<PciDevice, "spec" | "config" | "bars"> & Disposable;

/** Accesses to consecutive words from a place on, by index from 0. */
export interface Words {
  read(index: number): bigint;
  write(index: number, value: bigint): void;
}

/** `BAR:OFFSET` or `config:OFFSET`. Throws UsageError. */
export function parsePlace(text: string): Place {
  const [space = "", offset, ...rest] = text.split(":");
  if (offset === undefined || rest.length > 0 || !/^([0-9]+|config)$/.test(space))
    throw new UsageError(
      `"${text}" is not a register address; it must be BAR:OFFSET or config:OFFSET, such as 0:0x10 or config:4`,
    );
  return space === "config"
    ? { space, offset: wholeNumber("offset", offset, 0, CONFIG_BYTES - 1) }
    : {
        space: wholeNumber("BAR", space, 0, LAST_BAR),
        offset: wholeNumber("offset", offset, 0, Number.MAX_SAFE_INTEGER),
      };
}

/** Checks what can be checked before the device is opened. Throws UsageError. */
export function checkPlace(place: Place, width: Width, count: number): void {
  const bytes = width / 8;
  if (place.offset % bytes !== 0)
    throw new UsageError(
      `${nameOf(place)} is not aligned: with --width ${width} it must be a multiple of ${bytes}`,
    );
  if (place.space !== "config") return;
  if (width === 64) throw new UsageError("configuration space accepts --width 8, 16 and 32");
  if (place.offset + count * bytes > CONFIG_BYTES)
    throw new UsageError(
      `${count * bytes} bytes at ${nameOf(place)} go past the end of configuration space, ${CONFIG_BYTES}`,
    );
}

export function spaceName({ space }: Place): string {
  return space === "config" ? space : `BAR${space}`;
}

export function nameOf(place: Place): string {
  return `${spaceName(place)}:0x${place.offset.toString(16)}`;
}

/**
 * Accesses of exactly this width. Throws Error if the device does not have all of them; nothing was accessed
 * then.
 */
export function openWords(device: Opened, place: Place, width: Width, count: number): Words {
  const space = place.space === "config" ? device.config : device.bars[place.space]!;
  const bytes = width / 8;
  if (space.sizeBytes === 0)
    throw new Error(`${device.spec} has no ${spaceName(place)}; ${listBars(device)}`);
  if (place.offset + count * bytes > space.sizeBytes)
    throw new Error(
      `${count * bytes} bytes at ${nameOf(place)} go past the end: ${spaceName(place)} of ${device.spec} has 0x${space.sizeBytes.toString(16)} bytes`,
    );
  const { read, write } = accesses(space, width);
  return {
    read: (index) => BigInt(read(place.offset + index * bytes)),
    write: (index, value) => write(place.offset + index * bytes, value),
  };
}

function accesses(
  space: Region | ConfigSpace,
  width: Width,
): { read(at: number): number | bigint; write(at: number, value: bigint): void } {
  if (width === 8)
    return { read: (at) => space.read8(at), write: (at, value) => space.write8(at, Number(value)) };
  if (width === 16)
    return { read: (at) => space.read16(at), write: (at, value) => space.write16(at, Number(value)) };
  if (width === 32)
    return { read: (at) => space.read32(at), write: (at, value) => space.write32(at, Number(value)) };
  if (!("read64" in space)) throw new RangeError("configuration space has no 64-bit accesses");
  return { read: (at) => space.read64(at), write: (at, value) => space.write64(at, value) };
}

/** "it has BAR0 of 0x1000 bytes, BAR1 of 0x800000 bytes" */
export function listBars({ bars }: Pick<Opened, "bars">): string {
  const present = bars.filter(({ sizeBytes }) => sizeBytes > 0);
  const list = present.map(({ index, sizeBytes }) => `BAR${index} of 0x${sizeBytes.toString(16)} bytes`);
  return list.length ? `it has ${list.join(", ")}` : "it has no BARs";
}
