/** The names that operations may have: all, or those of a function. */
import type { PresentCapabilities } from "../../src/pci/decode/named-registers.ts";
import { capabilityKinds, headerRegisters } from "../../src/pci/decode/register-names.ts";
import { columns } from "../cli/columns.ts";
import { hex } from "../cli/number.ts";

interface Row {
  readonly name: string;
  /** In configuration space; null where that depends on the function. */
  readonly offset: number | null;
  /** Bits; null for a capability. */
  readonly width: number | null;
  /** The decoder's name for a capability, or the header that has the register. */
  readonly about: string;
}

const HEADERS = ["type 0", "type 1 (bridge)", "type 2 (CardBus)"];

/** Every name. */
export function allNames(): Row[] {
  return [
    ...headerRegisters.map(({ name, offset, sizeBytes, headerTypes }) => ({
      name,
      offset,
      width: sizeBytes * 8,
      about: headerTypes.length < HEADERS.length ? headerTypes.map((type) => HEADERS[type]).join(", ") : "",
    })),
    ...capabilityKinds
      .filter(({ id }) => id !== 0)
      .map(({ shortName, name = "" }) => ({ name: shortName, offset: null, width: null, about: name })),
  ];
}

/** Those of a function, by offset within header and capabilities. */
export function namesOf({ headerType, list }: PresentCapabilities): Row[] {
  const seen = new Map<string, number>();
  return [
    ...headerRegisters
      .filter(({ headerTypes }) => headerTypes.includes(headerType))
      .map(({ name, offset, sizeBytes }) => ({ name, offset, width: sizeBytes * 8, about: "" })),
    ...list.flatMap((capability) => {
      const { shortName, name = "", offset } = capability;
      const index = seen.get(shortName) ?? 0;
      seen.set(shortName, index + 1);
      const which = index === 0 ? "" : `@${index.toString(16)}`;
      const registers = capability.registers().map((register) => ({
        name: `${shortName}.${register.name}${which}`,
        offset: register.offset,
        width: register.sizeBytes * 8,
        about: register.label,
      }));
      return [{ name: `${shortName}${which}`, offset, width: null, about: name }, ...registers];
    }),
  ];
}

export function describeNames(rows: readonly Row[]): string {
  return columns(
    rows.map(({ name, offset, width, about }) => [
      offset === null ? "" : hex(offset, 12),
      width === null ? "" : String(width),
      name,
      about,
    ]),
  );
}
