/** Sources of a configuration space to show. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { canonicalAddress, isAddress } from "../../src/pci/bus/address.ts";
import { codeOf } from "../../src/pci/bus/attribute.ts";
import { BusError } from "../../src/pci/bus/bus-error.ts";
import {
  type IommuGroup,
  listFunctions,
  type PciFunction,
  type PciResource,
  ResourceFlag,
  readFunction,
} from "../../src/pci/bus/functions.ts";
import { Config, Status } from "../../src/pci/config-offsets.ts";
import { doesAnswer } from "../../src/pci/decode/decode.ts";
import type { Surroundings } from "../../src/pci/decode/describe.ts";
import type { KnownRegion } from "../../src/pci/decode/header.ts";
import { readDump } from "../../src/pci/decode/hex-dump.ts";
import { MAX_DUMP_BYTES } from "../../src/pci/limits.ts";
import { withAddress } from "../bus/address.ts";
import { readAtMost } from "../cli/read-file.ts";
import { wordCommand } from "../cli/remedy.ts";
import { UsageError } from "../cli/usage-error.ts";

/** One function's configuration space, and what else is known of it. */
export interface Source {
  readonly bytes: Uint8Array;
  readonly regions: readonly KnownRegion[];
  readonly around: Surroundings;
  readonly iommuGroup?: IommuGroup;
}

const HEADER_BYTES = 64;

/** Whether it has more that only root may read. */
export function isCutShort({ bytes }: Source): boolean {
  return bytes.byteLength <= HEADER_BYTES && ((bytes[Config.STATUS] ?? 0) & Status.CAPABILITIES) !== 0;
}

/** A function by its address, or any device that can be opened. Throws UsageError, BusError, DeviceError. */
export async function fromTarget(target: string): Promise<Source> {
  const spec = withAddress(target);
  const source = isAddress(spec) ? fromFunction(readFunction(spec)) : await fromDevice(spec);
  if (!doesAnswer(source.bytes))
    throw new BusError(
      `${target}: its configuration space reads as all ones: it no longer answers (link down, powered off, or being programmed); once it is back, ${wordCommand({ verb: "rescan", args: [] })} finds it again`,
    );
  return source;
}

/** All functions of this machine. */
export function fromMachine(): Source[] {
  return listFunctions().map(fromFunction);
}

/**
 * The functions of a dump, or raw bytes; with an address only the first function that has it. "-" is standard
 * input. Throws Error, DumpError, and UsageError if the address is not one.
 */
export function fromFile(path: string, address?: string): Source[] {
  if (address !== undefined && !isAddress(address))
    throw new UsageError(
      `"${address}" is not the address of a function in ${path}; an address looks like 0000:00:09.0, or 00:09.0`,
    );
  let file: Uint8Array<ArrayBuffer>;
  try {
    file = readAtMost(path, MAX_DUMP_BYTES);
  } catch (error) {
    throw new Error(`can't read ${path}: ${codeOf(error)}`, { cause: error });
  }
  const sources = readDump(file).map(({ address, bytes }) => ({
    bytes,
    regions: [],
    around: address === undefined ? {} : { address },
  }));
  if (address === undefined) return sources;
  const found = sources.find(({ around }) => isSameFunction(around.address, address));
  if (found) return [found];
  const others = sources.flatMap(({ around }) => around.address ?? []);
  const there = others.length > 0 ? others.slice(0, SHOWN_ADDRESSES).join(", ") : "bytes without an address";
  const more = others.length > SHOWN_ADDRESSES ? ` and ${others.length - SHOWN_ADDRESSES} more` : "";
  throw new Error(`there is no function ${address} in ${path}; it has ${there}${more}`);
}

const SHOWN_ADDRESSES = 8;

/** With or without the domain, which a dump has only if there are several. */
function isSameFunction(dumped: string | undefined, address: string): boolean {
  return dumped !== undefined && isAddress(dumped) && canonicalAddress(dumped) === canonicalAddress(address);
}

/** Reads only; its driver stays. */
function fromFunction(of: PciFunction): Source {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(join(of.path, "config"));
  } catch (error) {
    throw new BusError(
      `can't read the configuration space of ${of.address}: ${codeOf(error)}: the function may have gone away`,
      { cause: error, remedies: [{ verb: "list", args: [], does: "shows those present" }] },
    );
  }
  // A virtual function's own ids read as ones; the kernel knows them (PCIe 6.0, section 9.3.4.1).
  const ids = new DataView(bytes.buffer, bytes.byteOffset);
  if (of.physicalFunction !== undefined && bytes.byteLength >= HEADER_BYTES && doesAnswer(bytes)) {
    ids.setUint16(Config.VENDOR_ID, of.vendor, true);
    ids.setUint16(Config.DEVICE_ID, of.device, true);
  }
  return {
    bytes,
    regions: of.resources.map(knownRegion),
    ...(of.iommuGroup && { iommuGroup: of.iommuGroup }),
    around: {
      address: of.address,
      irq: of.irq,
      ...(of.numaNode !== undefined && { numaNode: of.numaNode }),
      ...(of.iommuGroup && { iommuGroup: String(of.iommuGroup.number) }),
      ...(of.driver !== undefined && { driver: of.driver }),
    },
  };
}

/** The kernel's view: it knows sizes, and replaces registers that are wrong (a virtual function's, say). */
function knownRegion({ start, end, flags }: PciResource): KnownRegion {
  if (flags === 0n || end < start || end === 0n) return { sizeBytes: 0 };
  const has = (flag: bigint) => (flags & flag) !== 0n;
  return {
    sizeBytes: Number(end - start + 1n),
    ...(!has(ResourceFlag.UNSET) && { address: start }),
    type: {
      io: has(ResourceFlag.IO),
      is64Bit: has(ResourceFlag.MEMORY_64),
      prefetchable: has(ResourceFlag.PREFETCH),
    },
  };
}

async function fromDevice(spec: string): Promise<Source> {
  // Half of the files that this verb would load.
  const { openDeviceOf } = await import("../device/open.ts");
  using device = openDeviceOf(spec);
  const { config } = device;
  const bytes = new Uint8Array(config.sizeBytes);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < config.sizeBytes; at += 4) view.setUint32(at, config.read32(at), true);
  return {
    bytes,
    regions: device.bars.map(({ sizeBytes }) => ({ sizeBytes })),
    around: { address: spec },
  };
}
