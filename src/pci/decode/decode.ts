import { CapabilityId, CardBusConfig, Config, Status } from "../config-offsets.ts";
import type { DecodedCapability } from "./capabilities/capability.ts";
import { decodeCapabilities } from "./capabilities/walk.ts";
import { type DecodedHeader, decodeHeader, type KnownRegion, silentHeader } from "./header.ts";

/** Decoded configuration space. */
export interface DecodedFunction extends DecodedHeader {
  /** False if it reads as all ones: the function is gone, or its link is down. Nothing else is known of it then. */
  readonly answers: boolean;
  /** Bytes available: 64 without privileges, 256, or the 4096 of PCI Express. */
  readonly configBytes: number;
  readonly capabilities: readonly DecodedCapability[];
}

const HEADER_BYTES = 64;
const ONES = 0xff;

/**
 * Decodes a function's configuration space: 64 to 4096 bytes, as many as could be read. `regions` are BAR 0
 * to 5 and the ROM, as far as another source knows them. Throws RangeError for fewer than 64 bytes; the
 * result reports all other problems.
 */
export function decodeConfig(bytes: Uint8Array, regions: readonly KnownRegion[] = []): DecodedFunction {
  if (bytes.byteLength < HEADER_BYTES)
    throw new RangeError(
      `${bytes.byteLength} bytes of configuration space: the header alone has ${HEADER_BYTES}`,
    );
  const answers = doesAnswer(bytes);
  const header = answers ? decodeHeader(bytes, regions) : silentHeader(bytes);
  const listed = answers && (bytes[Config.STATUS]! & Status.CAPABILITIES) !== 0 && header.headerType <= 2;
  const pointer = header.headerType === 2 ? CardBusConfig.CAPABILITIES : Config.CAPABILITIES;
  const capabilities = decodeCapabilities(bytes, listed ? pointer : undefined, {
    vendor: header.vendorId,
    device: header.deviceId,
    headerType: header.headerType,
    hasMemoryBar: header.regions.some((region) => region.space === "memory"),
  });
  const subsystem = header.headerType === 1 ? bridgeSubsystem(capabilities) : undefined;
  return { ...header, ...subsystem, answers, configBytes: bytes.byteLength, capabilities };
}

/** Whether a header is not all ones. All ones mean that the function is gone. */
export function doesAnswer(bytes: Uint8Array): boolean {
  return bytes.subarray(0, HEADER_BYTES).some((byte) => byte !== ONES);
}

/** A bridge's subsystem, which is in a capability, not in its header; undefined without that capability. */
export function bridgeSubsystem(capabilities: readonly DecodedCapability[]) {
  const fields = capabilities.find(({ id, extended }) => id === CapabilityId.BRIDGE_SUBSYSTEM && !extended)
    ?.registers[0]?.fields;
  if (!fields) return undefined;
  return { subsystemVendorId: Number(fields.subsystemVendorId), subsystemId: Number(fields.subsystemId) };
}
