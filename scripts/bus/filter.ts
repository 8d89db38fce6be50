/** Selects the functions to show. */
import type { PciFunction } from "../../src/pci/bus/functions.ts";
import { wholeNumber } from "../cli/number.ts";
import { UsageError } from "../cli/usage-error.ts";

export interface FilterOptions {
  readonly driver: string | undefined;
  readonly class: string | undefined;
  readonly id: string | undefined;
  readonly group: string | undefined;
}

type Test = (of: PciFunction) => boolean;

/** A test that a function meets all conditions. Throws UsageError. */
export function parseFilter(options: FilterOptions): Test {
  const tests = [
    byDriver(options.driver),
    byClass(options.class),
    byId(options.id),
    byGroup(options.group),
  ].filter((test) => test !== undefined);
  return (of) => tests.every((test) => test(of));
}

function byDriver(driver: string | undefined): Test | undefined {
  if (driver === undefined) return undefined;
  return (of) => (of.driver ?? "none") === driver;
}

function byClass(text: string | undefined): Test | undefined {
  if (text === undefined) return undefined;
  const digits = /^(?:0x)?((?:[0-9a-f]{2}){1,3})$/i.exec(text)?.[1]?.toLowerCase();
  if (digits === undefined)
    throw new UsageError(`--class ${text}: it must be 2, 4 or 6 hexadecimal digits, such as 01 or 0108`);
  return (of) => of.classCode.toString(16).padStart(6, "0").startsWith(digits);
}

function byId(text: string | undefined): Test | undefined {
  if (text === undefined) return undefined;
  const parts = /^([0-9a-f]{4})?:([0-9a-f]{4})?$/i.exec(text);
  if (!parts)
    throw new UsageError(`--id ${text}: it must be VENDOR:DEVICE, such as 10ee:7022, 10ee: or :7022`);
  const [vendor, device] = parts.slice(1).map((part) => (part ? Number.parseInt(part, 16) : undefined));
  return (of) =>
    (vendor === undefined || of.vendor === vendor) && (device === undefined || of.device === device);
}

function byGroup(text: string | undefined): Test | undefined {
  if (text === undefined) return undefined;
  const number = wholeNumber("--group", text, 0, 0x7fff_ffff);
  return (of) => of.iommuGroup?.number === number;
}
