/**
 * VFIO's numbers and structures (linux/vfio.h), which the vfio-user protocol shares. Structures are
 * little-endian, as is every machine that vfiokit runs on.
 */

import { MAX_CAPABILITIES } from "./limits.ts";

/** Region and interrupt indices of a PCI device. */
export const RegionIndex = { BAR0: 0, ROM: 6, CONFIG: 7, COUNT: 9 } as const;
export const IrqIndex = { INTX: 0, MSI: 1, MSIX: 2, ERR: 3, REQ: 4, COUNT: 5 } as const;

export const DeviceFlag = { RESET: 1, PCI: 2 } as const;
export const RegionFlag = { READ: 1, WRITE: 2, MMAP: 4, CAPS: 8 } as const;
export const IrqInfoFlag = { EVENTFD: 1, MASKABLE: 2, AUTOMASKED: 4, NORESIZE: 8 } as const;
/** SET_IRQS flags: one DATA_* (the kind of data) and one ACTION_*. */
export const IrqSet = {
  DATA_NONE: 1,
  DATA_BOOL: 2,
  DATA_EVENTFD: 4,
  ACTION_MASK: 8,
  ACTION_UNMASK: 16,
  ACTION_TRIGGER: 32,
} as const;
export const DmaFlag = { READ: 1, WRITE: 2 } as const;
export const DMA_UNMAP_ALL = 2;
export const SPARSE_MMAP_CAP = { ID: 1, VERSION: 1, HEADER_BYTES: 16, AREA_BYTES: 16 } as const;

/** Number of BARs of a PCI function. */
export const BARS = 6;

/** `struct vfio_region_info` without its capabilities. */
export const REGION_INFO_BYTES = 32;

/** A part of a region that can be mapped. */
export interface SparseArea {
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface ParsedRegionInfo {
  readonly sizeBytes: number;
  /** Where the region begins in its file. */
  readonly fileOffset: number;
  /** Mappable parts: none, the whole region, or its sparse areas. */
  readonly areas: readonly SparseArea[];
}

/** A received structure contradicts itself. */
export class VfioFormatError extends Error {}

/** u32 argsz, flags, index, offset of the first capability; u64 size, offset in the file. Throws VfioFormatError. */
export function parseRegionInfo(info: DataView): ParsedRegionInfo {
  const flags = info.getUint32(4, true);
  const sizeBytes = Number(info.getBigUint64(16, true));
  const fileOffset = Number(info.getBigUint64(24, true));
  if (!Number.isSafeInteger(sizeBytes) || !Number.isSafeInteger(fileOffset))
    throw new VfioFormatError(`it claims to be ${sizeBytes} bytes long`);
  const whole = [{ offset: 0, sizeBytes }];
  const sparse = flags & RegionFlag.CAPS ? sparseAreas(info) : undefined;
  return { sizeBytes, fileOffset, areas: flags & RegionFlag.MMAP && sizeBytes > 0 ? (sparse ?? whole) : [] };
}

function sparseAreas(info: DataView): SparseArea[] | undefined {
  const at = findCapability(info, info.getUint32(12, true), REGION_INFO_BYTES, SPARSE_MMAP_CAP.ID);
  if (at === undefined) return undefined;
  const first = at + SPARSE_MMAP_CAP.HEADER_BYTES;
  const count = first <= info.byteLength ? info.getUint32(at + 8, true) : Number.POSITIVE_INFINITY;
  if (first + count * SPARSE_MMAP_CAP.AREA_BYTES > info.byteLength)
    throw new VfioFormatError(`its list of ${count} areas does not fit`);
  const number = (offset: number) => Number(info.getBigUint64(offset, true));
  return Array.from({ length: count }, (_, i) => {
    const area = first + i * SPARSE_MMAP_CAP.AREA_BYTES;
    return { offset: number(area), sizeBytes: number(area + 8) };
  });
}

/**
 * The offset of capability `id`; undefined if absent. `struct vfio_info_cap_header` is u16 id, u16 version,
 * u32 offset of the next. Throws VfioFormatError.
 */
export function findCapability(
  info: DataView,
  firstOffset: number,
  fixedBytes: number,
  id: number,
): number | undefined {
  let at = firstOffset;
  for (let links = 0; at !== 0; links++) {
    if (links === MAX_CAPABILITIES) throw new VfioFormatError("its capabilities are linked in a circle");
    if (at < fixedBytes || at + 8 > info.byteLength)
      throw new VfioFormatError(`one of its capabilities is at ${at} of ${info.byteLength} bytes`);
    if (info.getUint16(at, true) === id) return at;
    at = info.getUint32(at + 4, true);
  }
  return undefined;
}
