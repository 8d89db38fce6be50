/** Regions of a VFIO device: mapped where the kernel allows it, accessed by pread and pwrite elsewhere. */
import { SystemError } from "../../os/errno.ts";
import type { Fd } from "../../os/fd.ts";
import { type Mapping, mapShared } from "../../os/memory.ts";
import {
  type ParsedRegionInfo,
  parseRegionInfo,
  REGION_INFO_BYTES,
  type SparseArea,
} from "../../protocol/vfio.ts";
import type { Advice } from "../../remedy/remedy.ts";
import { fileTransfers } from "../file-transfers.ts";
import type { MappedArea, RegionTransfers } from "../region.ts";
import { Vfio } from "./abi.ts";
import { readStructure } from "./structure.ts";

/** Most bytes of one pread or pwrite; the kernel splits it into single accesses anyway. */
const MAX_DATA_BYTES = 4096;

/** `struct vfio_region_info`; size 0 if the device lacks the region. Throws SystemError, VfioFormatError. */
export function readRegionInfo(device: Fd, index: number): ParsedRegionInfo {
  const what = `read region ${index}'s information`;
  const setIndex = (info: DataView) => info.setUint32(8, index, true);
  return parseRegionInfo(
    readStructure(device, Vfio.DEVICE_GET_REGION_INFO, REGION_INFO_BYTES, what, setIndex),
  );
}

/** The parts of `areas` outside the hole. */
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

/** Maps a region's areas into this process. Transfers access those that can't be mapped. */
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

/** pread and pwrite of a region. They throw DeviceError: EIO if memory decode is off or the device is gone. */
export function regionTransfers(fd: Fd, name: string, fileOffset: number, spec: string): RegionTransfers {
  return fileTransfers({ fd, fileOffset, name, maxDataBytes: MAX_DATA_BYTES, explain }, spec);
}

function explain(code: string): Advice | undefined {
  if (code !== "EIO") return undefined;
  return {
    text: "memory decode is off, or the device has gone away",
    remedies: [
      { verb: "info", args: [], does: "shows which" },
      { verb: "enable", args: [], does: "turns decode on" },
    ],
  };
}
