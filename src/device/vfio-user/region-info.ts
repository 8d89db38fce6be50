/** DEVICE_GET_REGION_INFO: a region's size and mappable parts. */
import { fstatSync } from "node:fs";
import { SystemError } from "../../os/errno.ts";
import type { Fd } from "../../os/fd.ts";
import { keepsItsPages, type Mapping, mapShared, PAGE_SIZE } from "../../os/memory.ts";
import {
  type ParsedRegionInfo,
  parseRegionInfo,
  REGION_INFO_BYTES,
  VfioFormatError,
} from "../../protocol/vfio.ts";
import { Command } from "../../protocol/vfio-user.ts";
import { MAX_STRUCTURE_BYTES } from "../limits.ts";
import { type Connection, closeAll } from "./connection.ts";

export interface RegionInfo {
  readonly sizeBytes: number;
  /** The parts mapped into this process; the caller unmaps them. */
  readonly areas: readonly { readonly offset: number; readonly mapping: Mapping }[];
}

/** Asks again with more room if the reply has capabilities that did not fit. Throws DeviceError. */
export function readRegionInfo(connection: Connection, index: number): RegionInfo {
  let argsz = REGION_INFO_BYTES;
  for (let round = 0; round < 2; round++) {
    const request = connection.messages.payload(REGION_INFO_BYTES);
    request.setUint32(0, argsz, true);
    request.setUint32(8, index, true);
    const { payload: info, fds } = connection.request(Command.DEVICE_GET_REGION_INFO, REGION_INFO_BYTES, {
      takesFds: true,
    });
    try {
      if (info.byteLength < REGION_INFO_BYTES) {
        throw connection.error(`region ${index}'s information is ${info.byteLength} bytes long`);
      }
      const needed = info.getUint32(0, true);
      if (needed > argsz && needed <= MAX_STRUCTURE_BYTES) {
        argsz = needed;
        continue;
      }
      const parsed = parse(connection, index, info);
      const fd = fds[0];
      return { sizeBytes: parsed.sizeBytes, areas: fd ? mapAreas(connection, index, parsed, fd) : [] };
    } finally {
      closeAll(fds);
    }
  }
  throw connection.error(`region ${index}'s information grows with each request`);
}

function parse(connection: Connection, index: number, info: DataView): ParsedRegionInfo {
  try {
    return parseRegionInfo(info);
  } catch (error) {
    if (!(error instanceof VfioFormatError)) throw error;
    throw connection.error(`region ${index}'s information is invalid: ${error.message}`);
  }
}

/** Leaves a file that the server could truncate to messages: an access past its end would kill this process. */
function mapAreas(
  connection: Connection,
  index: number,
  { areas, fileOffset }: ParsedRegionInfo,
  fd: Fd,
): RegionInfo["areas"] {
  if (!keepsItsPages(fd)) return [];
  const fileBytes = fstatSync(fd.number).size;
  const mapped: { offset: number; mapping: Mapping }[] = [];
  try {
    for (const { offset, sizeBytes } of areas) {
      const at = fileOffset + offset;
      if (sizeBytes === 0 || at % PAGE_SIZE !== 0 || at + sizeBytes > fileBytes) {
        throw connection.error(
          `region ${index} offers ${sizeBytes} bytes at ${at} of a file of ${fileBytes} bytes to map`,
        );
      }
      mapped.push({ offset, mapping: mapShared(fd.number, sizeBytes, at) });
    }
    return mapped;
  } catch (error) {
    for (const { mapping } of mapped) mapping[Symbol.dispose]();
    if (!(error instanceof SystemError)) throw error;
    throw connection.error(`region ${index} offers a file to map that can't be mapped: ${error.message}`);
  }
}
