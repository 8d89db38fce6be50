import { type Fd, ioctl } from "../../os/fd.ts";
import { MAX_STRUCTURE_BYTES } from "../limits.ts";

/**
 * Reads a VFIO structure that begins with u32 argsz; reads it again with more room if its capabilities did
 * not fit. `prepare` sets the fields that the kernel reads. Throws SystemError.
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
    if (needed <= structure.byteLength || needed > MAX_STRUCTURE_BYTES) break;
    structure = new DataView(new ArrayBuffer(needed));
  }
  return structure;
}
