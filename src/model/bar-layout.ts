/** The BARs of a described model: their sizes and kinds, checked. */
import { BARS } from "../protocol/vfio.ts";
import { findMistake } from "../registers/mistake.ts";
import { bytesOf, elementsOf } from "../registers/table.ts";
import type { BarDescriptions, ModelDescription } from "./model-description.ts";
import { msixLayout } from "./msix-bar.ts";

/** Bytes of a BAR: a power of two. 4 KiB of memory is the least that can be mapped. PCI 3.0, section 6.2.5.1, on I/O. */
const LIMITS = { io: [4, 256], 32: [4096, 2 ** 31], 64: [4096, 2 ** 36] } as const;

/** What each kind of BAR takes. The types allow a mixture. */
const KEYS: Readonly<Record<"memoryBytes" | "registers", readonly string[]>> = {
  memoryBytes: ["memoryBytes", "addressBits", "prefetchable"],
  registers: ["registers", "sizeBytes", "io", "addressBits", "prefetchable"],
};

/** The last BAR that the description leaves free; -1 for none. MSI-X's table takes it. */
export function freeBar(bars: BarDescriptions): number {
  const isTaken = (index: number) => bars[index] !== undefined || bars[index - 1]?.addressBits === 64;
  return Array.from({ length: BARS }, (_, index) => isTaken(index)).lastIndexOf(false);
}

/** Sizes of BAR 0 to 5, 0 for none. Throws RangeError: what can't be built, and the mend. */
export function sizesOf({ bars, interrupts = {} }: Pick<ModelDescription, "bars" | "interrupts">): number[] {
  if (bars.length > BARS) throw new RangeError(`${bars.length} BARs; a device has at most ${BARS}`);
  const names = new Map<string, number>();
  const barBytes = Array.from({ length: BARS }, (_, index) => sizeOf(bars, index, names));
  const { msi = 1, msix = 0 } = interrupts;
  if (![1, 2, 4, 8, 16, 32].includes(msi))
    throw new RangeError(`interrupts.msi is ${msi}; it must be a power of two from 1 to 32`);
  if (!Number.isInteger(msix) || msix < 0 || msix > 2048)
    throw new RangeError(`interrupts.msix is ${msix}; it must be from 1 to 2048`);
  if (msix > 0) {
    const free = freeBar(bars);
    if (free < 0) throw new RangeError("the table of MSI-X needs a BAR, and all 6 are taken");
    barBytes[free] = msixLayout(msix).sizeBytes;
  }
  return barBytes;
}

/** `names` gets the BAR of each register. */
function sizeOf(bars: BarDescriptions, index: number, names: Map<string, number>): number {
  const bar = bars[index];
  if (bar === undefined) return 0;
  if (bar === null) throw new RangeError(`BAR${index} is null; undefined leaves a BAR out`);
  const kind = "memoryBytes" in bar ? "memoryBytes" : "registers";
  const stranger = Object.keys(bar).find((key) => !KEYS[kind].includes(key));
  if (stranger !== undefined)
    throw new RangeError(
      `BAR${index} has "${stranger}", which a BAR of ${kind} does not take; it takes ${KEYS[kind].join(", ")}`,
    );
  const { addressBits = 32 } = bar;
  if (addressBits !== 32 && addressBits !== 64)
    throw new RangeError(`BAR${index} has addressBits ${String(addressBits)}; it must be 32 or 64`);
  if (addressBits === 64 && (index === BARS - 1 || bars[index + 1] !== undefined))
    throw new RangeError(
      `BAR${index} has 64-bit addresses, so it takes the next BAR, too; leave that undefined`,
    );
  if ("memoryBytes" in bar) return checkSize(index, bar.memoryBytes, addressBits);
  if (bar.io && (addressBits === 64 || bar.prefetchable))
    throw new RangeError(`BAR${index} is in I/O space, which has no 64-bit addresses and no prefetching`);
  const mistake = findMistake(bar.registers);
  if (mistake !== undefined) throw new RangeError(`BAR${index}: ${mistake}`);
  for (const name of Object.keys(bar.registers)) {
    const other = names.get(name);
    if (other !== undefined) throw new RangeError(`BAR${index} and BAR${other} both have a register ${name}`);
    names.set(name, index);
  }
  const space = bar.io ? "io" : addressBits;
  const ends = elementsOf(bar.registers).map(({ offset, register }) => offset + bytesOf(register));
  const end = Math.max(4, ...ends);
  const needed = Math.max(LIMITS[space][0], 2 ** Math.ceil(Math.log2(end)));
  if (bar.sizeBytes !== undefined && bar.sizeBytes < end)
    throw new RangeError(
      `BAR${index} has ${bar.sizeBytes} bytes, and its registers end at ${end}; make it ${needed}`,
    );
  return checkSize(index, bar.sizeBytes ?? needed, space);
}

function checkSize(index: number, sizeBytes: number, kind: keyof typeof LIMITS): number {
  const [least, most] = LIMITS[kind];
  const isPower = typeof sizeBytes === "number" && Number.isInteger(Math.log2(sizeBytes));
  if (isPower && sizeBytes >= least && sizeBytes <= most) return sizeBytes;
  const nearest = sizeBytes > least ? Math.min(most, 2 ** Math.ceil(Math.log2(sizeBytes))) : least;
  throw new RangeError(
    `BAR${index} has ${sizeBytes} bytes; it must be a power of two from ${least} to ${most}, such as ${nearest}`,
  );
}
