/** Regions of a VFIO device: mapped where the kernel lets them be, pread and pwrite elsewhere. */
import { SystemError } from "../../os/errno.ts";
import { type Fd, ioctl, readAt, writeAt } from "../../os/fd.ts";
import { type Mapping, mapShared } from "../../os/memory.ts";
import { DeviceError } from "../device.ts";
import type { MappedArea, RegionTransfers } from "../region.ts";
import { type ParsedRegionInfo, parseRegionInfo, REGION_INFO_BYTES, type SparseArea } from "../vfio-abi.ts";
import { Vfio } from "./abi.ts";

/** Most bytes of one pread or pwrite; the kernel cuts them into single accesses anyway. */
const MAX_DATA_BYTES = 4096;
const MAX_ARGSZ = 64 * 1024;

/** `struct vfio_region_info`; undefined for a region that the device has not. Throws SystemError, VfioFormatError. */
export function readRegionInfo(device: Fd, index: number): ParsedRegionInfo {
  let info = new DataView(new ArrayBuffer(REGION_INFO_BYTES));
  for (let round = 0; round < 2; round++) {
    info.setUint32(0, info.byteLength, true);
    info.setUint32(8, index, true);
    ioctl(device, Vfio.DEVICE_GET_REGION_INFO, info, `read region ${index}'s information`);
    const needed = info.getUint32(0, true);
    if (needed <= info.byteLength || needed > MAX_ARGSZ) break;
    info = new DataView(new ArrayBuffer(needed));
  }
  return parseRegionInfo(info);
}

/** What of `areas` lies outside the hole. */
function cutOut(areas: readonly SparseArea[], hole: SparseArea): SparseArea[] {
  const holeEnd = hole.offset + hole.sizeBytes;
  return areas.flatMap(({ offset, sizeBytes }) => {
    const end = offset + sizeBytes;
    const pieces = [
      { offset, sizeBytes: Math.min(end, hole.offset) - offset },
      { offset: Math.max(offset, holeEnd), sizeBytes: end - Math.max(offset, holeEnd) },
    ];
    return pieces.filter((piece) => piece.sizeBytes > 0);
  });
}

/** A region's areas in this process. What can't be mapped is left to transfers. */
export function mapRegion(device: Fd, { areas, fileOffset }: ParsedRegionInfo, hole: SparseArea | undefined) {
  const mappings: Mapping[] = [];
  const mapped: MappedArea[] = [];
  for (const area of areas) {
    let mapping: Mapping;
    try {
      mapping = mapShared(device.number, area.sizeBytes, fileOffset + area.offset);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      continue;
    }
    mappings.push(mapping);
    for (const { offset, sizeBytes } of hole ? cutOut([area], hole) : [area])
      mapped.push({ offset, sizeBytes, mapping, from: offset - area.offset });
  }
  return { mappings, areas: mapped };
}

/** pread and pwrite of a region. They throw DeviceError: EIO where memory decode is off, or the device gone. */
export function regionTransfers(device: Fd, name: string, fileOffset: number, spec: string): RegionTransfers {
  const scratch = new Uint8Array(new ArrayBuffer(MAX_DATA_BYTES));
  const transfer = (move: typeof readAt, bytes: Uint8Array, offset: number, verb: string) => {
    const what = `${verb} ${bytes.byteLength} bytes at 0x${offset.toString(16)} of ${name}`;
    try {
      move(device, bytes, fileOffset + offset, what);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const why =
        error.code === "EIO"
          ? ": memory decode is off, or the device is gone; bun run info.ts tells, and bun run enable.ts turns decode on"
          : "";
      throw new DeviceError(`${spec}: ${error.message}${why}`, { cause: error });
    }
  };
  return {
    maxDataBytes: MAX_DATA_BYTES,
    read: (offset, sizeBytes) => {
      transfer(readAt, scratch.subarray(0, sizeBytes), offset, "read");
      return new DataView(scratch.buffer, 0, sizeBytes);
    },
    write: (offset, bytes) => {
      transfer(writeAt, bytes, offset, "write");
    },
  };
}
