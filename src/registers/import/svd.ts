/** CMSIS-SVD devices (Open-CMSIS-SVD 1.3): peripheral, cluster, register, field. */
import {
  type Access,
  allBits,
  type Block,
  type DescribedField,
  type DescribedRegister,
  type Description,
  isReservedName,
  type Note,
  pathName,
} from "./description.ts";
import { bitNumber, svdNumber as number } from "./number.ts";
import { type Deriving, openDeriving } from "./svd-deriving.ts";
import { dimOf, expandNames, nameOf } from "./svd-dim.ts";
import { aboutOf, childOf, childrenOf, type Element, textOf } from "./xml.ts";

export function readSvd(device: Element): Description {
  const deriving = openDeriving(device);
  const peripherals = childrenOf(childOf(device, "peripherals"), "peripheral");
  return {
    format: "CMSIS-SVD",
    name: textOf(device, "name") ?? "device",
    blocks: peripherals.map((peripheral) => blockOf(device, peripheral, deriving)),
  };
}

function blockOf(device: Element, peripheral: Element, deriving: Deriving): Block {
  const name = nameOf(peripheral).replace("%s", "");
  return {
    name,
    base: textOf(peripheral, "baseAddress"),
    read: (note) => {
      const whole = deriving.resolve(peripheral, [name], (line) => note(`${name}: ${line}`));
      if (textOf(childOf(device, "cpu"), "endian") === "big")
        note(`${name}: the processor is big-endian; the table is little-endian`);
      if (childOf(whole, "dim")) note(`${name}: there are several of this peripheral; the table is of one`);
      const scope = {
        ...{ names: [name], path: [], offset: 0n, dims: [], deriving },
        properties: propertiesOf(whole, propertiesOf(device, {})),
      };
      return registersIn(childOf(whole, "registers"), scope, note);
    },
  };
}

/** What a register has from its clusters, its peripheral and the device, if it does not say otherwise. */
type Properties = Readonly<Record<string, string>>;

const inheritable = ["size", "access", "resetValue", "resetMask", "modifiedWriteValues", "readAction"];

function propertiesOf(element: Element, outer: Properties): Properties {
  const own = inheritable.flatMap((key) => {
    const text = textOf(element, key);
    return text === undefined ? [] : [[key, text]];
  });
  return { ...outer, ...Object.fromEntries(own) };
}

interface Scope extends Pick<DescribedRegister, "path" | "offset" | "dims"> {
  /** As `derivedFrom` has them: the peripheral's, the clusters', the register's. */
  readonly names: readonly string[];
  readonly properties: Properties;
  readonly deriving: Deriving;
}

function registersIn(parent: Element | undefined, scope: Scope, note: Note): DescribedRegister[] {
  return childrenOf(parent, "register", "cluster").flatMap((element) => {
    const { deriving } = scope;
    const names = [...scope.names, textOf(element, "name") ?? "UNNAMED"];
    const noteOf: Note = (line) => note(`${pathName([...scope.path, nameOf(element)])}: ${line}`);
    const whole = deriving.resolve(element, names, noteOf);
    const path = [...scope.path, nameOf(whole)];
    const offset = number(textOf(whole, "addressOffset"));
    if (offset === undefined) {
      noteOf("its addressOffset is missing, or no number; left out");
      return [];
    }
    const dim = dimOf(whole);
    if (dim === "mistake") {
      noteOf("its dim or dimIncrement is missing, or no number; left out");
      return [];
    }
    const properties = propertiesOf(whole, scope.properties);
    const dims = dim ? [...scope.dims, dim] : scope.dims;
    const inner = { names, path, offset: scope.offset + offset, dims, properties, deriving };
    if (element.name === "cluster") return registersIn(whole, inner, note);
    return registerOf(whole, inner, noteOf) ?? [];
  });
}

function registerOf(element: Element, scope: Scope, note: Note): DescribedRegister | undefined {
  const { path, offset, dims, properties } = scope;
  const bits = bitNumber(number(properties.size ?? "32"));
  if (bits === undefined || bits === 0) {
    note(`its size is no number (${properties.size}); left out`);
    return undefined;
  }
  const value = number(properties.resetValue);
  if (properties.resetValue !== undefined && value === undefined)
    note(`its resetValue is no number (${properties.resetValue})`);
  const mask = number(properties.resetMask) ?? allBits(bits);
  return {
    ...{ path, offset, dims, bits, about: aboutOf(element, path.at(-1)!.replace("%s", "")) },
    access: accessOf(properties),
    reset: value === undefined ? undefined : { value: value & allBits(bits), mask },
    range: rangeOf(element),
    fields: childrenOf(childOf(element, "fields"), "field").flatMap((field) => fieldsOf(field, scope, note)),
  };
}

/** `modify` is what an absent modifiedWriteValues stands for. */
const accessOf = ({ access, modifiedWriteValues: effect, readAction }: Properties): Access => ({
  ...{ access, readAction, modifiedWriteValue: effect === "modify" ? undefined : effect },
});

function rangeOf(element: Element): DescribedField["range"] {
  const range = childOf(childOf(element, "writeConstraint"), "range");
  const [low, high] = ["minimum", "maximum"].map((name) => number(textOf(range, name)));
  return low === undefined || high === undefined ? undefined : [low, high];
}

/** One field, or those of an array of them. */
function fieldsOf(element: Element, scope: Scope, note: Note): DescribedField[] {
  const names = [...scope.names, textOf(element, "name") ?? "UNNAMED"];
  const whole = scope.deriving.resolve(element, names, note);
  const name = nameOf(whole);
  const place = bitsOf(whole);
  const dim = dimOf(whole);
  if (place === undefined || dim === "mistake") {
    note(`the bits of its field ${name.replace("%s", "")} are missing, or no numbers; left out`);
    return [];
  }
  // A field inherits what the register says, but for its own.
  const access = accessOf(propertiesOf(whole, scope.properties));
  const field = {
    ...{ ...place, access, about: aboutOf(whole, name.replace("%s", "")), reset: undefined },
    range: rangeOf(whole),
    values: valuesOf(whole, names, scope.deriving, note),
  };
  if (!dim) return [{ ...field, name, isReserved: isReservedName(name) }];
  return expandNames(whole, dim, 64).map(({ name, label }, index) => ({
    ...{ ...field, name, isReserved: isReservedName(name), about: field.about.replaceAll("%s", label) },
    low: place.low + index * Number(dim.strideBytes),
  }));
}

/** bitRange [high:low], lsb and msb, or bitOffset and bitWidth. */
function bitsOf(field: Element): { low: number; bits: number } | undefined {
  const [, highText, lowText] = /^\[(\w+):(\w+)\]$/.exec(textOf(field, "bitRange") ?? "") ?? [];
  const low = bitNumber(number(lowText ?? textOf(field, "lsb") ?? textOf(field, "bitOffset")));
  const high = bitNumber(number(highText ?? textOf(field, "msb")));
  const width = bitNumber(number(textOf(field, "bitWidth") ?? "1"));
  if (low === undefined || width === undefined) return undefined;
  const bits = high === undefined ? width : high - low + 1;
  return bits < 1 ? undefined : { low, bits };
}

function valuesOf(
  field: Element,
  names: readonly string[],
  deriving: Deriving,
  note: Note,
): DescribedField["values"] {
  const lists = childrenOf(field, "enumeratedValues").map((list) =>
    deriving.resolve(list, [...names, textOf(list, "name") ?? ""], note),
  );
  const found = new Map<string, bigint>();
  for (const element of lists.flatMap((list) => childrenOf(list, "enumeratedValue"))) {
    const name = textOf(element, "name") ?? "UNNAMED";
    const text = textOf(element, "value");
    const value = number(text);
    if (value !== undefined) found.set(name, value);
    // One that is for all other values has none of its own.
    else if (text !== undefined)
      note(`the value ${name} of ${nameOf(field)} is no single number (${text}); left out`);
  }
  return [...found];
}
