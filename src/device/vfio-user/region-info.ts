/** DEVICE_GET_REGION_INFO: how large a region is, and which parts of it can be mapped. */
import { fstatSync } from "node:fs";
import { SystemError } from "../../os/errno.ts";
import type { Fd } from "../../os/fd.ts";
import { mapShared, PAGE_SIZE } from "../../os/memory.ts";
import type { MappedArea } from "../region.ts";
import { type Connection, closeAll } from "./connection.ts";
import { Command, RegionFlag, SPARSE_MMAP_CAP, type SparseArea } from "./protocol.ts";

/** Capabilities of one region that are looked through; the kernel has three kinds. */
const MAX_CAPABILITIES = 16;
const FIXED_BYTES = 32;
const MAX_ARGSZ = 64 * 1024;

export interface RegionInfo {
  readonly sizeBytes: number;
  /** Its parts that are mapped into this process now; the caller unmaps them. */
  readonly areas: readonly MappedArea[];
}

/** Asks, and asks again with more room where the reply has capabilities that did not fit. Throws DeviceError. */
export function readRegionInfo(connection: Connection, index: number): RegionInfo {
  let argsz = FIXED_BYTES;
  for (let round = 0; round < 2; round++) {
    const request = connection.messages.payload(FIXED_BYTES);
    request.setUint32(0, argsz, true);
    request.setUint32(8, index, true);
    const { payload: info, fds } = connection.request(Command.DEVICE_GET_REGION_INFO, FIXED_BYTES, [], true);
    try {
      if (info.byteLength < FIXED_BYTES) {
        throw connection.error(`region ${index}'s information is ${info.byteLength} bytes long`);
      }
      const needed = info.getUint32(0, true);
      if (needed > argsz && needed <= MAX_ARGSZ) {
        argsz = needed;
        continue;
      }
      return takeRegionInfo(connection, index, info, fds[0]);
    } finally {
      closeAll(fds);
    }
  }
  throw connection.error(`region ${index}'s information grows each time it is asked for`);
}

/** u32 argsz, flags, index, offset of the first capability; u64 size, offset in the file. */
function takeRegionInfo(
  connection: Connection,
  index: number,
  info: DataView,
  fd: Fd | undefined,
): RegionInfo {
  const flags = info.getUint32(4, true);
  const sizeBytes = Number(info.getBigUint64(16, true));
  const fileOffset = Number(info.getBigUint64(24, true));
  if (!Number.isSafeInteger(sizeBytes) || !Number.isSafeInteger(fileOffset)) {
    throw connection.error(`region ${index} is said to be ${sizeBytes} bytes long`);
  }
  const areas =
    flags & RegionFlag.CAPS ? sparseAreas(connection, info, sizeBytes) : [{ offset: 0, sizeBytes }];
  const mappable = flags & RegionFlag.MMAP && fd;
  return { sizeBytes, areas: mappable ? mapAreas(connection, index, areas, fd, fileOffset) : [] };
}

/** Follows the capability chain to the sparse-mmap capability; the whole region where there is none. */
function sparseAreas(connection: Connection, info: DataView, sizeBytes: number): SparseArea[] {
  let at = info.getUint32(12, true);
  for (let links = 0; at !== 0; links++) {
    if (links === MAX_CAPABILITIES) throw connection.error("a region's capabilities are linked in a circle");
    if (at < FIXED_BYTES || at + 8 > info.byteLength) {
      throw connection.error(`a region's capability lies at ${at} of ${info.byteLength} bytes`);
    }
    if (info.getUint16(at, true) !== SPARSE_MMAP_CAP.ID) {
      at = info.getUint32(at + 4, true);
      continue;
    }
    const first = at + SPARSE_MMAP_CAP.HEADER_BYTES;
    const count = first <= info.byteLength ? info.getUint32(at + 8, true) : Number.POSITIVE_INFINITY;
    if (first + count * SPARSE_MMAP_CAP.AREA_BYTES > info.byteLength) {
      throw connection.error(`a region's list of ${count} areas does not fit its message`);
    }
    const number = (offset: number) => Number(info.getBigUint64(offset, true));
    return Array.from({ length: count }, (_, i) => {
      const area = first + i * SPARSE_MMAP_CAP.AREA_BYTES;
      return { offset: number(area), sizeBytes: number(area + 8) };
    });
  }
  return [{ offset: 0, sizeBytes }];
}

function mapAreas(
  connection: Connection,
  index: number,
  areas: readonly SparseArea[],
  fd: Fd,
  fileOffset: number,
): MappedArea[] {
  const fileBytes = fstatSync(fd.number).size;
  const mapped: MappedArea[] = [];
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
