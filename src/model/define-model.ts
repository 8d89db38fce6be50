/**
 * A device model from register tables and handlers: the rest, from configuration space to the reset, follows from them.
 * What it can't do yet: registers of other widths than 32 bits, I/O BARs, DMA by message.
 */

import { BARS } from "../protocol/vfio.ts";
import { findMistake } from "../registers/mistake.ts";
import {
  advancedErrorReporting,
  buildConfigSpace,
  type ConfigSpaceModel,
  msi,
  msix,
  powerManagement,
  rootComplexEndpoint,
} from "./config-space-model.ts";
import type { ModelDefinition } from "./definition.ts";
import type { Host } from "./device-model.ts";
import { HandledDevice } from "./handled-device.ts";
import type { ModelDescription } from "./model-description.ts";
import { msixLayout } from "./msix-bar.ts";

/** Bytes of a BAR: a power of two, from 4 KiB, which is the least that can be mapped. */
const LEAST_BAR_BYTES = 4096;
const MOST_BAR_BYTES = { 32: 2 ** 31, 64: 2 ** 36 } as const;

/** A definition that `model:./FILE.ts` can name, as the file's default export. Throws RangeError: what can't be built, and why. */
export function defineModel(description: ModelDescription): ModelDefinition<string> {
  const barBytes = sizesOf(description);
  configOf(description, barBytes); // refuses ids that don't fit
  const { title, options = [] } = description;
  return {
    title,
    options,
    remains: async () => ({
      config: configOf(description, barBytes),
      msiVectors: description.interrupts?.msi ?? 1,
      msixVectors: description.interrupts?.msix ?? 0,
      barBytes,
    }),
    // All of the device runs in the message thread.
    prepare: async ({ options }) => ({ about: "", data: options.toString(), release: () => {} }),
    load: async () => (host: Host, query: string) =>
      new HandledDevice(
        description,
        barBytes,
        configOf(description, barBytes),
        host,
        new URLSearchParams(query),
      ),
  };
}

const isWide = (bar: ModelDescription["bars"][number]) => typeOf(bar)?.addressBits === 64;

const typeOf = (bar: ModelDescription["bars"][number]) => (bar && "memoryBytes" in bar ? bar : undefined);

/** The last BAR that the description leaves free; -1 for none. MSI-X's table takes it. */
function freeBar(bars: ModelDescription["bars"]): number {
  const taken = Array.from(
    { length: BARS },
    (_, index) => bars[index] ?? (isWide(bars[index - 1]) || undefined),
  );
  return taken.lastIndexOf(undefined);
}

/** Sizes of BAR 0 to 5, 0 for none. */
function sizesOf({ bars, interrupts = {} }: ModelDescription): number[] {
  if (bars.length > BARS) throw new RangeError(`${bars.length} BARs; a device has at most ${BARS}`);
  const names = new Map<string, number>();
  const sizes = bars.map((bar, index) => {
    if (bar === undefined) return 0;
    if ("memoryBytes" in bar) {
      const { memoryBytes, addressBits = 32 } = bar;
      if (addressBits === 64 && (index === BARS - 1 || bars[index + 1] !== undefined))
        throw new RangeError(
          `BAR${index} has 64-bit addresses, so it takes the next BAR, too; leave that undefined`,
        );
      return checkSize(index, memoryBytes, addressBits);
    }
    const mistake = findMistake(bar.registers);
    if (mistake !== undefined) throw new RangeError(`BAR${index}: ${mistake}`);
    for (const name of Object.keys(bar.registers)) {
      const other = names.get(name);
      if (other !== undefined)
        throw new RangeError(`BAR${index} and BAR${other} both have a register ${name}`);
      names.set(name, index);
    }
    const end = Math.max(4, ...Object.values(bar.registers).map(({ offset }) => offset + 4));
    const needed = Math.max(LEAST_BAR_BYTES, 2 ** Math.ceil(Math.log2(end)));
    if (bar.sizeBytes !== undefined && bar.sizeBytes < end)
      throw new RangeError(
        `BAR${index} has ${bar.sizeBytes} bytes, and its registers end at ${end}; make it ${needed}`,
      );
    return checkSize(index, bar.sizeBytes ?? needed);
  });
  const barBytes = Array.from({ length: BARS }, (_, index) => sizes[index] ?? 0);
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

function checkSize(index: number, sizeBytes: number, addressBits: 32 | 64 = 32): number {
  const most = MOST_BAR_BYTES[addressBits];
  const fits = sizeBytes >= LEAST_BAR_BYTES && sizeBytes <= most;
  if (fits && Number.isInteger(Math.log2(sizeBytes))) return sizeBytes;
  const nearest = Math.min(most, Math.max(LEAST_BAR_BYTES, 2 ** Math.ceil(Math.log2(sizeBytes))));
  throw new RangeError(
    `BAR${index} has ${sizeBytes} bytes; it must be a power of two from ${LEAST_BAR_BYTES} to ${most}, such as ${nearest}`,
  );
}

function configOf(
  { id, bars, interrupts = {} }: ModelDescription,
  barBytes: readonly number[],
): ConfigSpaceModel {
  const { vendor, device, subsystemVendor = vendor, subsystem = device, classCode = 0xff_0000 } = id;
  for (const [name, value, bits] of [
    ["vendor", vendor, 16],
    ["device", device, 16],
    ["subsystemVendor", subsystemVendor, 16],
    ["subsystem", subsystem, 16],
    ["classCode", classCode, 24],
  ] as const)
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits)
      throw new RangeError(`id.${name} is ${value}; it must be a whole number of ${bits} bits`);
  return buildConfigSpace({
    ...{ vendor, device, subsystemVendor, subsystem, classCode, barBytes },
    barTypes: bars.map(typeOf),
    interruptPin: 1,
    capabilities: [
      powerManagement(0x80),
      msi(0x90, interrupts.msi),
      ...(interrupts.msix
        ? [msix(0xb0, interrupts.msix, freeBar(bars), msixLayout(interrupts.msix).pendingOffset)]
        : []),
      rootComplexEndpoint(0xc0, true),
      advancedErrorReporting(0x100),
    ],
  });
}
