/** Chooses a device's register table: the encoder endpoint's, or one that the user wrote. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { PciDevice } from "../../src/device/device.ts";
import { Config } from "../../src/pci/config-offsets.ts";
import { findMistake } from "../../src/registers/mistake.ts";
import {
  elementName,
  elementsOf,
  type RegisterElement,
  type RegisterTable,
} from "../../src/registers/table.ts";
import { registers as encoderRegisters, MAGIC, PCI_ID } from "../../src/vp9/contract/registers.ts";
import { UsageError } from "../cli/usage-error.ts";

export interface NamedTable {
  /** "encoder", or the file's path as given. */
  readonly name: string;
  readonly table: RegisterTable;
}

export const ENCODER: NamedTable = { name: "encoder", table: encoderRegisters };
/** The BAR that holds the encoder endpoint's registers. */
export const ENCODER_BAR = 0;

/** The table of a `--table`: "encoder", or a TypeScript file that exports one as `registers`. Throws UsageError. */
export async function loadTable(name: string): Promise<NamedTable> {
  if (name === ENCODER.name) return ENCODER;
  let loaded: { readonly registers?: unknown };
  try {
    loaded = await import(pathToFileURL(resolve(name)).href);
  } catch (error) {
    throw new UsageError(
      `--table ${name} can't be loaded: ${error instanceof Error ? error.message : error}`,
    );
  }
  const mistake = findMistake(loaded.registers);
  if (mistake !== undefined) throw new UsageError(`--table ${name}: ${mistake}`);
  return { name, table: loaded.registers as RegisterTable };
}

/**
 * The registers with these names, in the order given: NAME[3] is one of an array, and NAME all of it. Without names, all of the
 * table in its order. Throws UsageError.
 */
export function chooseRegisters(
  { name: tableName, table }: NamedTable,
  names: readonly string[],
): RegisterElement[] {
  const elements = elementsOf(table);
  if (names.length === 0) return elements;
  return names.flatMap((wanted) => {
    const is = (name: string) => name.toLowerCase() === wanted.toLowerCase();
    const found = elements.filter((element) => is(element.name) || is(elementName(element)));
    if (found.length === 0)
      throw new UsageError(
        `there is no register ${wanted} in table ${tableName}; it has ${Object.keys(table).join(", ")}`,
      );
    return found;
  });
}

/**
 * The encoder's table if the device is the encoder. That takes its ids, which are stock ids of FPGA designs,
 * and its magic register, which is read only if the ids match. Otherwise why it is not the encoder.
 */
export function recognize(device: PciDevice): NamedTable | { readonly why: string } {
  const id = (offset: number) => device.config.read16(offset);
  const ours =
    id(Config.VENDOR_ID) === PCI_ID.vendor &&
    id(Config.DEVICE_ID) === PCI_ID.device &&
    id(Config.SUBSYSTEM_VENDOR_ID) === PCI_ID.subsystemVendor &&
    id(Config.SUBSYSTEM_ID) === PCI_ID.subsystem;
  if (!ours) return { why: "no register table is known for its ids" };
  const bar = device.bars[ENCODER_BAR]!;
  const { offset } = encoderRegisters.MAGIC;
  const magic = offset + 4 <= bar.sizeBytes ? bar.read32(offset) : 0;
  if (magic === MAGIC) return ENCODER;
  return { why: `it has the encoder's ids, but ${describeMagic(magic)}` };
}

/** Why MAGIC is wrong, if it is among the registers read; undefined if it is right. */
export function wrongMagic(
  values: readonly { name: string; value: number | bigint | undefined }[],
): string | undefined {
  const magic = values.find(({ name }) => name === "MAGIC")?.value;
  return magic === undefined || magic === MAGIC ? undefined : describeMagic(Number(magic));
}

const describeMagic = (magic: number) =>
  `its MAGIC reads 0x${magic.toString(16)}, not 0x${MAGIC.toString(16)}`;
