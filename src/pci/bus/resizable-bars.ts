/**
 * BARs that can change their size: PCIe 6.0, section 7.8.6, by `resourceN_resize` of Documentation/ABI/testing/sysfs-bus-pci, from
 * Linux 5.19 on.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { codeOf, listFolder, writeAttribute } from "./attribute.ts";
import { BusError } from "./bus-error.ts";
import { FUNCTIONS, type PciFunction, ResourceFlag, readFunction } from "./functions.ts";
import { findUses } from "./in-use.ts";

const MIB = 2 ** 20;
const UNITS = ["MiB", "GiB", "TiB"] as const;

/** A BAR that can change its size. */
export interface ResizableBar {
  readonly index: number;
  /** Its size now; 0 if the kernel has given it no addresses. */
  readonly sizeBytes: number;
  /** The sizes that the function offers, powers of two from 1 MiB on, the smallest first. */
  readonly sizesBytes: readonly number[];
}

/** "256 MiB", for sizes that a resizable BAR can have. */
export function describeBarSize(sizeBytes: number): string {
  const unit = sizeBytes < 2 ** 30 ? 0 : sizeBytes < 2 ** 40 ? 1 : 2;
  return `${sizeBytes / MIB / 1024 ** unit} ${UNITS[unit]}`;
}

/** The BARs of a function that can change their size, in order; empty before Linux 5.19. Throws BusError. */
export function resizableBars(address: string, root = FUNCTIONS): ResizableBar[] {
  const of = readFunction(address, root);
  const indices = listFolder(of.path)
    .flatMap((name) => /^resource([0-5])_resize$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort();
  return indices.map((index) => ({
    index,
    sizeBytes: sizeOf(of, index),
    sizesBytes: offeredSizes(of, index),
  }));
}

function sizeOf({ resources }: PciFunction, index: number): number {
  const resource = resources[index];
  if (!resource || resource.start === 0n || resource.flags & ResourceFlag.UNSET) return 0;
  return Number(resource.end - resource.start) + 1;
}

const fileOf = (of: PciFunction, index: number) => join(of.path, `resource${index}_resize`);

/** The file has a hexadecimal number, whose bit n stands for 2^n MiB. */
function offeredSizes(of: PciFunction, index: number): number[] {
  const path = fileOf(of, index);
  let text: string;
  try {
    text = readFileSync(path, "latin1").trim();
  } catch (error) {
    const code = codeOf(error);
    throw new BusError(
      `can't read which sizes BAR${index} of ${of.address} can have: read ${path}: ${code}`,
      { cause: error },
    );
  }
  if (!/^[0-9a-f]{1,16}$/i.test(text))
    throw new BusError(
      `can't read which sizes BAR${index} of ${of.address} can have: ${path} says "${text}"`,
    );
  const bits = BigInt(`0x${text}`);
  return Array.from({ length: 64 }, (_, bit) => bit)
    .filter((bit) => (bits >> BigInt(bit)) & 1n)
    .map((bit) => MIB * 2 ** bit);
}

/**
 * Changes a BAR's size. The kernel gives this and the other BARs of its kind new addresses, and their content may be lost. No driver
 * and no process may have the function. Needs root. Returns the size before. Throws BusError: which sizes there are, who has the
 * function, or that the bridge above has no room, where the BAR may be left without addresses.
 */
export function resizeBar(address: string, index: number, sizeBytes: number, root = FUNCTIONS): number {
  const of = readFunction(address, root);
  const what = `BAR${index} of ${of.address}`;
  const bars = resizableBars(of.address, root);
  const bar = bars.find((each) => each.index === index);
  if (!bar) {
    const others = bars.map((each) => `BAR${each.index}`).join(", ");
    throw new BusError(
      `${what} can't change its size${others ? `, but ${others} can` : ": the function offers that for no BAR, or the kernel is older than 5.19"}`,
    );
  }
  const wanted = describeBarSize(sizeBytes);
  if (!bar.sizesBytes.includes(sizeBytes))
    throw new BusError(
      `${what} can't have ${wanted}, but ${bar.sizesBytes.map(describeBarSize).join(", ") || "no size at all"}`,
    );
  if (of.driver !== undefined)
    throw new BusError(
      `${what} can't change its size while ${of.driver} has the function; unbind that first: echo ${of.address} > ${FUNCTIONS}/${of.address}/driver/unbind`,
    );
  const uses = findUses(of, root);
  if (uses.length > 0) throw new BusError(`${what} not resized, since it is in use:\n${uses.join("\n")}`);
  try {
    writeAttribute(fileOf(of, index), String(Math.log2(sizeBytes / MIB)), `give ${what} ${wanted}`);
  } catch (error) {
    if (!(error instanceof BusError && codeOf(error.cause) === "ENOSPC")) throw error;
    throw new BusError(`${error.message}: ${NO_ROOM}`, { cause: error });
  }
  const now = sizeOf(readFunction(of.address, root), index);
  if (now !== sizeBytes)
    throw new BusError(
      `${what} was to have ${wanted}, and has ${now ? describeBarSize(now) : "no addresses"} now: ${NO_ROOM}`,
      {
        remedies: bar.sizeBytes
          ? [
              {
                verb: "resize",
                args: [of.address, String(index), describeBarSize(bar.sizeBytes).replace(" ", "")],
                does: "gives it the size that it had",
              },
            ]
          : [],
      },
    );
  return bar.sizeBytes;
}

const NO_ROOM =
  "the bridge above has no room for it; turn on Above 4G Decoding in the firmware, or boot with pci=realloc";
