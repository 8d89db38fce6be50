/** Finds registers of a device by name. Reads no more of it than that takes. */
import { CardBusConfig, Config, Status } from "../config-offsets.ts";
import type { ConfigSpace } from "../config-space.ts";
import { registersOf } from "./capabilities/capability.ts";
import { decodeRegister, type RegisterLayout } from "./capabilities/register-layout.ts";
import { type Octets, type Scope, type ScopeFacts, scopeAt } from "./capabilities/scope.ts";
import { extendedCapabilities, standardCapabilities } from "./capabilities/table.ts";
import { listCapabilities } from "./capabilities/walk.ts";
import { doesAnswer } from "./decode.ts";
import { decodeHeader, headerLayouts, type KnownRegion } from "./header.ts";
import { type CapabilityKind, capabilityKind } from "./register-names.ts";

type Readable = Pick<ConfigSpace, "sizeBytes" | "read32">;

/** The meaning of a register's value. */
export interface Meaning {
  readonly fields: Readonly<Record<string, number | boolean | string>>;
  /** The decoder's text, on one line, without the register's label. */
  readonly text: string;
}

/** A register whose fields are known. */
export interface NamedRegister {
  /** As in {@link DecodedRegister}. */
  readonly name: string;
  /** What its text begins with; "" if it has no label. */
  readonly label: string;
  /** In configuration space. */
  readonly offset: number;
  readonly sizeBytes: 1 | 2 | 4 | 8;
  /** May read neighbours of the register, for text that tells of them, too. */
  meaning(value: bigint): Meaning;
}

/** A capability that a function has. */
export interface PresentCapability extends CapabilityKind {
  /** In configuration space. */
  readonly offset: number;
  /** Reads what decides which ones there are. */
  registers(): readonly NamedRegister[];
}

/** A function's header type and capabilities. */
export interface PresentCapabilities {
  /** 0 endpoint, 1 bridge, 2 CardBus bridge. */
  readonly headerType: number;
  readonly list: readonly PresentCapability[];
  /** Where and why a list ends too early, if one does. */
  readonly problem?: string;
}

const HEADER_BYTES = 64;
const WORD_BYTES = 4;

/** Reads the words that are asked for, each once; a value that is already known replaces what would be read. */
function octetsOf(
  config: Readable,
  known?: { readonly offset: number; readonly sizeBytes: number; readonly value: bigint },
): Octets {
  const words = new Map<number, number>();
  return {
    byteLength: config.sizeBytes,
    at(offset) {
      if (known && offset >= known.offset && offset < known.offset + known.sizeBytes)
        return Number((known.value >> BigInt(8 * (offset - known.offset))) & 0xffn);
      const start = offset - (offset % WORD_BYTES);
      const word = words.get(start) ?? config.read32(start);
      words.set(start, word);
      return (word >>> (8 * (offset % WORD_BYTES))) & 0xff;
    },
  };
}

function named(layout: RegisterLayout, config: Readable, base: number, facts: ScopeFacts): NamedRegister {
  const { name, sizeBytes } = layout;
  const label = layout.label.trim().replace(/:$/, "");
  const offset = base + layout.offset;
  return {
    name,
    label,
    offset,
    sizeBytes,
    meaning(value) {
      const scope = scopeAt(octetsOf(config, { offset, sizeBytes, value }), base, facts);
      const { fields = {}, lines = [] } = decodeRegister(layout, scope) ?? {};
      const text = lines.map((line) => line.trim()).join(" ");
      return {
        fields,
        text: (text.startsWith(layout.label) ? text.slice(layout.label.length) : text).trim(),
      };
    },
  };
}

const NO_FACTS: ScopeFacts = {
  vendor: 0,
  device: 0,
  headerType: 0,
  portType: undefined,
  hasMemoryBar: false,
};

/** The header's register at an offset, if its fields are known. Reads nothing. */
export function headerRegisterAt(
  config: Readable,
  headerType: number,
  offset: number,
  sizeBytes: number,
): NamedRegister | undefined {
  const layout = headerLayouts(headerType).find(
    (each) => each.offset === offset && each.sizeBytes === sizeBytes,
  );
  return layout && named(layout, config, 0, NO_FACTS);
}

/**
 * The capabilities of a function: reads its header and the first word of each capability. `regions` are BAR 0 to 5, as far as
 * another source knows them. Undefined if the function does not answer: its header reads as all ones.
 */
export function findCapabilities(
  config: Readable,
  regions: readonly KnownRegion[] = [],
): PresentCapabilities | undefined {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  for (let at = 0; at < HEADER_BYTES; at += WORD_BYTES) view.setUint32(at, config.read32(at), true);
  if (!doesAnswer(header)) return undefined;
  const decoded = decodeHeader(header, regions);
  const { headerType } = decoded;
  const listed = (header[Config.STATUS]! & Status.CAPABILITIES) !== 0 && headerType <= 2;
  const pointer = headerType === 2 ? CardBusConfig.CAPABILITIES : Config.CAPABILITIES;
  const octets = octetsOf(config);
  const { standard, extended, portType } = listCapabilities(octets, listed ? pointer : undefined);
  const facts: ScopeFacts = {
    vendor: decoded.vendorId,
    device: decoded.deviceId,
    headerType,
    portType,
    hasMemoryBar: decoded.regions.some(({ space }) => space === "memory"),
  };
  const entries = [...standard, ...extended];
  const broken = entries.find((entry) => entry.problem !== undefined);
  return {
    headerType,
    list: entries
      .filter((entry) => entry.problem === undefined)
      .map(({ id, offset, version }) => {
        const isExtended = version !== undefined;
        const layout = (isExtended ? extendedCapabilities : standardCapabilities)[id];
        return {
          ...capabilityKind(isExtended, id),
          offset,
          registers: () => {
            if (!layout) return [];
            const scope: Scope = scopeAt(octetsOf(config), offset, facts);
            return registersOf(layout, scope).map((register) => named(register, config, offset, facts));
          },
        };
      }),
    ...(broken && { problem: `0x${broken.offset.toString(16)}: ${broken.problem}` }),
  };
}
