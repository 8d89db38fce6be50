/** IP-XACT components (IEEE 1685-2014, 1685-2009, and SPIRIT's 1.5 and 1.4): memoryMap, addressBlock, registerFile, register, field. */
import {
  type Access,
  type Block,
  type DescribedField,
  type DescribedRegister,
  type Description,
  DescriptionError,
  type Dim,
  isReservedName,
  type Note,
  pathName,
} from "./description.ts";
import { bitNumber, countNumber, ipXactNumber as number } from "./number.ts";
import { aboutOf, childOf, childrenOf, type Element, textOf } from "./xml.ts";

/** Throws DescriptionError: another edition, no name, or a unit of addresses that is no byte. */
export function readIpXact(component: Element): Description {
  const space = component.attributes[component.prefix === "" ? "xmlns" : `xmlns:${component.prefix}`] ?? "";
  const edition = /(?:1685-|SPIRIT\/)(2009|2014|1\.[45])$/.exec(space)?.[1];
  if (edition === undefined)
    throw new DescriptionError(
      `it is a component of ${space === "" ? "no namespace" : space}; only IP-XACT 1.4, 1.5, 1685-2009 and 1685-2014 is read`,
    );
  // An address space's local memory map has the same contents.
  const maps = [
    ...childrenOf(childOf(component, "memoryMaps"), "memoryMap"),
    ...childrenOf(childOf(component, "addressSpaces"), "addressSpace").flatMap((space) =>
      childrenOf(space, "localMemoryMap"),
    ),
  ];
  return {
    format: `IP-XACT ${edition}`,
    name: textOf(component, "name") ?? "component",
    blocks: maps.flatMap(blocksOf),
  };
}

function blocksOf(map: Element): Block[] {
  const mapName = textOf(map, "name") ?? "map";
  const unitBits = bitNumber(number(textOf(map, "addressUnitBits") ?? "8"));
  if (unitBits === undefined || unitBits < 8 || unitBits % 8 !== 0)
    throw new DescriptionError(`addressUnitBits of ${mapName} is no multiple of 8`);
  return addressBlocks(map)
    .filter((block) => childrenOf(block, "register", "registerFile").length > 0)
    .map((block) => ({
      name: textOf(block, "name") ?? mapName,
      base: textOf(block, "baseAddress"),
      read: (note) => {
        const inherited = { access: textOf(block, "access") ?? textOf(map, "access") };
        return registersIn(
          block,
          { path: [], offset: 0n, dims: [], unitBytes: BigInt(unitBits / 8), ...inherited },
          note,
        );
      },
    }));
}

/** Also those in banks, and those that a state of the component puts there. */
function addressBlocks(parent: Element): Element[] {
  return childrenOf(parent, "addressBlock", "bank", "memoryRemap").flatMap((child) =>
    child.name === "addressBlock" ? [child] : addressBlocks(child),
  );
}

/** What registers have from what holds them. */
interface Scope {
  readonly path: readonly string[];
  readonly offset: bigint;
  readonly dims: readonly Dim[];
  readonly unitBytes: bigint;
  readonly access: string | undefined;
}

function registersIn(parent: Element, scope: Scope, note: Note): DescribedRegister[] {
  return childrenOf(parent, "register", "registerFile").flatMap((element) => {
    const index = "%s".repeat(childrenOf(element, "dim").length);
    const path = [...scope.path, (textOf(element, "name") ?? "UNNAMED").replaceAll("%", "") + index];
    const noteOf: Note = (line) => note(`${pathName(path)}: ${line}`);
    const place = placeOf(element, scope, noteOf);
    if (!place) return [];
    if (element.name === "registerFile") return registersIn(element, { ...scope, ...place, path }, note);
    const register = registerOf(element, scope, noteOf);
    return register ? [{ ...register, ...place, path }] : [];
  });
}

/** Undefined, after a note: nobody can tell where it is, or it is not there. */
function placeOf(
  element: Element,
  { offset: from, dims: outer, unitBytes }: Scope,
  note: Note,
): Pick<DescribedRegister, "offset" | "dims"> | undefined {
  const leaveOut = (why: string) => void note(`${why}; left out`);
  const isPresent = textOf(element, "isPresent") ?? "1";
  if (number(isPresent) === 0n) return leaveOut("it is not present (isPresent is 0)");
  if (number(isPresent) === undefined)
    note(`whether it is present depends on ${isPresent}; the table has it`);
  const offset = number(textOf(element, "addressOffset"));
  if (offset === undefined) return leaveOut(whyNoNumber(element, "addressOffset"));
  const counts = childrenOf(element, "dim").map(({ text }) => countNumber(number(text)));
  if (counts.some((count) => count === undefined)) return leaveOut(whyNoNumber(element, "dim"));
  // Elements of an array follow one another. Those of a register file are as far apart as its range.
  const length = element.name === "register" ? "size" : "range";
  const size = number(textOf(element, length));
  if (counts.length > 0 && size === undefined) return leaveOut(whyNoNumber(element, length));
  let strideBytes = element.name === "register" ? (size ?? 0n) / 8n : (size ?? 0n) * unitBytes;
  const dims: Dim[] = [];
  for (const count of (counts as number[]).reverse()) {
    dims.unshift({ count, strideBytes, labels: undefined });
    strideBytes *= BigInt(count);
  }
  return { offset: from + offset * unitBytes, dims: [...outer, ...dims] };
}

function whyNoNumber(element: Element, name: string): string {
  const text = childOf(element, name)?.text;
  return text === undefined ? `it has no ${name}` : `its ${name} is no plain number (${text})`;
}

function registerOf(
  element: Element,
  scope: Scope,
  note: Note,
): Omit<DescribedRegister, "path" | "offset" | "dims"> | undefined {
  const bits = bitNumber(number(textOf(element, "size")));
  if (bits === undefined || bits === 0) {
    note(`${bits === 0 ? "its size is 0" : whyNoNumber(element, "size")}; left out`);
    return undefined;
  }
  if (childOf(element, "alternateRegisters")) note("its alternate registers are left out");
  const access = textOf(element, "access") ?? scope.access;
  // 1685-2009 has reset values of registers, 1685-2014 those of fields.
  const reset = childOf(element, "reset");
  const value = reset && number(textOf(reset, "value"));
  if (reset && value === undefined) note(`its reset ${whyNoNumber(reset, "value").slice(4)}`);
  const mask = (reset && number(textOf(reset, "mask"))) ?? (1n << BigInt(bits)) - 1n;
  return {
    about: aboutOf(element, textOf(element, "name") ?? ""),
    bits,
    access: { access, modifiedWriteValue: undefined, readAction: undefined },
    reset: value === undefined ? undefined : { value, mask },
    range: undefined,
    fields: childrenOf(element, "field").flatMap((field) => fieldOf(field, access, note) ?? []),
  };
}

function fieldOf(element: Element, inherited: string | undefined, note: Note): DescribedField | undefined {
  const name = textOf(element, "name") ?? "UNNAMED";
  const [low, bits] = ["bitOffset", "bitWidth"].map((key) => bitNumber(number(textOf(element, key))));
  if (low === undefined || bits === undefined || bits === 0) {
    note(`bitOffset or bitWidth of its field ${name} is no plain number; left out`);
    return undefined;
  }
  const access: Access = {
    access: textOf(element, "access") ?? inherited,
    modifiedWriteValue: textOf(element, "modifiedWriteValue"),
    readAction: textOf(element, "readAction"),
  };
  const isReserved = textOf(element, "reserved");
  return {
    ...{ name, low, bits, access, about: aboutOf(element, name) },
    isReserved: isReserved === "true" || (number(isReserved) ?? 0n) !== 0n || isReservedName(name),
    reset: resetOf(element, name, note),
    range: rangeOf(element),
    values: valuesOf(element, name, note),
  };
}

function rangeOf(field: Element): DescribedField["range"] {
  const constraint = childOf(field, "writeValueConstraint");
  const [low, high] = ["minimum", "maximum"].map((name) => number(textOf(constraint, name)));
  return low === undefined || high === undefined ? undefined : [low, high];
}

/** The reset without a type of its own, which is the hard one, or else the first. */
function resetOf(field: Element, name: string, note: Note): bigint | undefined {
  const resets = childrenOf(childOf(field, "resets"), "reset");
  const isHard = ({ attributes }: Element) =>
    !Object.entries(attributes).some(([key, type]) => /(^|:)resetTypeRef$/.test(key) && type !== "HARD");
  const reset = resets.find(isHard) ?? resets[0];
  if (!reset) return undefined;
  const value = number(textOf(reset, "value"));
  if (value === undefined)
    note(`the reset value of ${name} is no plain number (${textOf(reset, "value") ?? ""})`);
  if (resets.length > 1)
    note(`${name} has ${resets.length} reset values; the table has one, that of a hard reset if it is given`);
  return value;
}

function valuesOf(field: Element, fieldName: string, note: Note): DescribedField["values"] {
  return childrenOf(childOf(field, "enumeratedValues"), "enumeratedValue").flatMap((element) => {
    const name = textOf(element, "name") ?? "UNNAMED";
    const value = number(textOf(element, "value"));
    if (value !== undefined) return [[name, value] as const];
    note(
      `the value ${name} of ${fieldName} is no plain number (${textOf(element, "value") ?? ""}); left out`,
    );
    return [];
  });
}
