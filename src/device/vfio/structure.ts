import { type Fd, ioctl } from "../../os/fd.ts";

/** Longest structure that is asked for. */
const MAX_ARGSZ = 64 * 1024;

/**
 * A structure that begins with u32 argsz, as VFIO fills it in; asked for again with more room where its capabilities did
 * not fit. `prepare` sets what the kernel reads of it. Throws SystemError.
 */
export function readStructure(
  fd: Fd,
  request: number,
  fixedBytes: number,
  what: string,
  prepare: (structure: DataView) => void = () => {},
): DataView {
  let structure = new DataView(new ArrayBuffer(fixedBytes));
  for (let round = 0; round < 2; round++) {
    structure.setUint32(0, structure.byteLength, true);
    prepare(structure);
    ioctl(fd, request, structure, what);
    const needed = structure.getUint32(0, true);
    if (needed <= structure.byteLength || needed > MAX_ARGSZ) break;
    structure = new DataView(new ArrayBuffer(needed));
  }
  return structure;
}
