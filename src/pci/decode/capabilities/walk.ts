/**
 * The two lists of capabilities: PCIe 6.0, sections 7.5.1.1.11 and 7.6.3. Pointers are untrusted: one that
 * leaves the available bytes, points into the header or loops ends its list, and the list says so.
 */
import { CapabilityId } from "../../config-offsets.ts";
import type { CapabilityLayout, CapabilityTable, DecodedCapability } from "./capability.ts";
import { decodeLayout, nameOf } from "./capability.ts";
import { type Octets, type ScopeFacts, scopeAt } from "./scope.ts";
import { extendedCapabilities, standardCapabilities } from "./table.ts";

const HEADER_BYTES = 0x40;
const STANDARD_BYTES = 0x100;
/** Most bytes shown of a capability. */
const SHOWN_BYTES = 256;

/** A capability in one of the lists. */
export interface ListEntry {
  readonly offset: number;
  readonly id: number;
  /** Only an extended capability has one. */
  readonly version?: number;
  /** Why the list ends here, if it is broken. */
  readonly problem?: string;
}

/** The list that the byte at `pointer` starts. */
function standardList(bytes: Octets, pointer: number): ListEntry[] {
  const entries: ListEntry[] = [];
  // The low two bits are reserved.
  let offset = bytes.at(pointer)! & ~3;
  while (offset !== 0) {
    if (offset < HEADER_BYTES) {
      entries.push({ offset, id: 0, problem: "points into the header" });
      break;
    }
    if (offset + 4 > bytes.byteLength) {
      entries.push({ offset, id: 0, problem: "not readable" });
      break;
    }
    const id = bytes.at(offset)!;
    const looped = entries.some((entry) => entry.offset === offset);
    if (looped || id === 0xff) {
      entries.push({ offset, id, problem: looped ? "chain looped" : "chain broken" });
      break;
    }
    entries.push({ offset, id });
    offset = bytes.at(offset + 1)! & ~3;
  }
  return entries;
}

/** The list that starts at 0x100; empty if zeros or ones are there. */
function extendedList(bytes: Octets): ListEntry[] {
  const entries: ListEntry[] = [];
  const octet = (at: number) => bytes.at(at)!;
  let offset = STANDARD_BYTES;
  while (offset !== 0) {
    if (offset < STANDARD_BYTES) {
      entries.push({ offset, id: 0, version: 0, problem: "points out of the extended space" });
      break;
    }
    if (offset + 4 > bytes.byteLength) break;
    const id = octet(offset) | (octet(offset + 1) << 8);
    const upper = octet(offset + 2) | (octet(offset + 3) << 8);
    if ((id === 0 && upper === 0) || (id === 0xffff && upper === 0xffff)) break;
    const entry = { offset, id, version: upper & 0xf };
    if (entries.some((earlier) => earlier.offset === entry.offset)) {
      entries.push({ ...entry, problem: "chain looped" });
      break;
    }
    entries.push(entry);
    offset = (upper >>> 4) & ~3;
  }
  return entries;
}

/** Both lists, and the Device/Port Type. `pointer` is the offset of the header's list pointer; undefined if it has no list. */
export function listCapabilities(bytes: Octets, pointer: number | undefined) {
  const standard = pointer === undefined ? [] : standardList(bytes, pointer);
  const express = standard.find((entry) => entry.id === CapabilityId.EXPRESS && !entry.problem);
  const portType = express && (bytes.at(express.offset + 2)! >>> 4) & 0xf;
  const hasExtended = express || standard.some((entry) => entry.id === CapabilityId.PCI_X);
  const extended = hasExtended ? extendedList(bytes) : [];
  return { standard, extended, portType };
}

/** Decodes all capabilities. `pointer` is the offset of the header's list pointer; undefined if it has no list. */
export function decodeCapabilities(
  bytes: Uint8Array,
  pointer: number | undefined,
  header: Omit<ScopeFacts, "portType">,
): DecodedCapability[] {
  const { standard, extended, portType } = listCapabilities(bytes, pointer);
  const starts = [...standard, ...extended].map((entry) => entry.offset);

  const decode = (entry: ListEntry, table: CapabilityTable): DecodedCapability => {
    const { offset, id, version, problem } = entry;
    const isExtended = version !== undefined;
    const mark = isExtended
      ? `[${offset.toString(16).padStart(3, "0")} v${version}]`
      : `[${offset.toString(16).padStart(2, "0")}]`;
    const where = { id, extended: isExtended, offset, ...(isExtended && { version }) };
    if (problem)
      return { ...where, name: "", registers: [], problem, lines: [`Capabilities: ${mark} <${problem}>`] };
    const scope = scopeAt(bytes, offset, { ...header, portType });
    const layout: CapabilityLayout = table[id] ?? {
      title: isExtended
        ? `Extended Capability ID 0x${id.toString(16)}`
        : `Capability ID 0x${id.toString(16)} [${scope.read(2, 2).toString(16).padStart(4, "0")}]`,
      opaqueBytes: () => Infinity,
    };
    const { registers, lines } = decodeLayout(layout, scope);
    const opaqueBytes = layout.opaqueBytes?.(scope) ?? 0;
    const shown = opaqueBytes > 0 ? capabilityBytes(bytes, offset, opaqueBytes, starts) : undefined;
    return {
      ...where,
      name: nameOf(layout),
      registers,
      ...(shown && { bytes: shown.toHex() }),
      lines: [
        `Capabilities: ${mark} ${lines[0]}`,
        ...lines.slice(1),
        ...(shown ? hexLines(shown, offset) : []),
      ],
    };
  };
  return [
    ...standard.map((entry) => decode(entry, standardCapabilities)),
    ...extended.map((entry) => decode(entry, extendedCapabilities)),
  ];
}

/** A capability's bytes, up to the next capability or the end of its space, without trailing zeros. */
function capabilityBytes(
  bytes: Uint8Array,
  offset: number,
  sizeBytes: number,
  starts: readonly number[],
): Uint8Array {
  const space = offset < STANDARD_BYTES ? STANDARD_BYTES : bytes.byteLength;
  const end = Math.min(
    ...starts.filter((start) => start > offset),
    space,
    bytes.byteLength,
    offset + Math.min(sizeBytes, SHOWN_BYTES),
  );
  let last = end;
  while (last > offset + 4 && bytes[last - 1] === 0) last--;
  return bytes.subarray(offset, Math.min(end, offset + Math.ceil((last - offset) / 4) * 4));
}

function hexLines(bytes: Uint8Array, offset: number): string[] {
  const rows = Array.from({ length: Math.ceil(bytes.byteLength / 16) }, (_, i) =>
    bytes.subarray(i * 16, i * 16 + 16),
  );
  return rows.map((row, i) => {
    const octets = [...row].map((byte) => byte.toString(16).padStart(2, "0"));
    return `\t${(offset + i * 16).toString(16).padStart(2, "0")}: ${octets.join(" ")}`;
  });
}
