/** Which register table is a device's: the encoder endpoint's own, or one that the user wrote. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { PciDevice } from "../../src/device/device.ts";
import { registers as encoderRegisters, MAGIC, PCI_ID } from "../../src/endpoint/registers.ts";
import { Config } from "../../src/pci/config.ts";
import type { Mode, RegisterTable } from "../../src/pci/registers.ts";
import { UsageError } from "./number.ts";

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

const modes: Record<Mode, true> = { ro: true, rw: true, wo: true, rw1c: true };

/** Why a value is no RegisterTable: what the compiler would have said, since nobody compiles a user's file. */
function findMistake(table: unknown): string | undefined {
  if (!isObject(table))
    return 'it exports no table; write "export const registers = { ... } satisfies RegisterTable"';
  for (const [name, register] of Object.entries(table)) {
    if (!isObject(register)) return `${name} is no register`;
    const { offset, mode, fields = {} } = register;
    if (typeof offset !== "number" || !Number.isSafeInteger(offset) || offset < 0 || offset % 4 !== 0)
      return `the offset of ${name} is ${String(offset)}; it must be a multiple of 4`;
    if (typeof mode !== "string" || !Object.hasOwn(modes, mode))
      return `the mode of ${name} is ${String(mode)}; it must be one of ${Object.keys(modes).join(", ")}`;
    if (!isObject(fields)) return `the fields of ${name} are none`;
    for (const [field, description] of Object.entries(fields)) {
      const [low, high, ...more] = bitsOf(description);
      const bit = (value: unknown) =>
        typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 32;
      if (!bit(low) || !bit(high) || (low as number) > (high as number) || more.length > 0)
        return `the bits of ${name}.${field} must be [low, high], from 0 to 31`;
    }
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function bitsOf(field: unknown): readonly unknown[] {
  return isObject(field) && Array.isArray(field.bits) ? field.bits : [];
}

/**
 * The encoder's table where the device is the encoder: by its ids, which are stock ids of FPGA designs, and by its
 * magic register, which is read only where the ids are right. Otherwise why it is not.
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
  return {
    why: `it has the encoder's ids, but its MAGIC reads 0x${magic.toString(16)}, not 0x${MAGIC.toString(16)}`,
  };
}
