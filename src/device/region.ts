import { ptr } from "bun:ffi";
import { copy64, read8, read16, read32, read64, write8, write16, write32, write64 } from "../os/access.ts";
import type { Mapping } from "../os/memory.ts";
import type { Region } from "./device.ts";

/** Accesses a region by messages or system calls. */
export interface RegionTransfers {
  /** Returns a view that the next transfer overwrites. */
  read(offset: number, sizeBytes: number): DataView;
  write(offset: number, bytes: Uint8Array): void;
  readonly maxDataBytes: number;
}

/** A part of a region mapped into this process. */
export interface MappedArea {
  readonly offset: number;
  readonly sizeBytes: number;
  readonly mapping: Mapping;
  /** Its offset in the mapping. */
  readonly from: number;
}

/** Scratch for one access. */
const word = new DataView(new ArrayBuffer(8));
const wordBytes = [0, 1, 2, 4, 8].map((n) => new Uint8Array(word.buffer, 0, n));
const bytesOf = { 1: wordBytes[1]!, 2: wordBytes[2]!, 4: wordBytes[3]!, 8: wordBytes[4]! } as const;

function checkRange(name: string, sizeBytes: number, offset: number, width: number): void {
  if (!Number.isInteger(offset) || offset < 0 || offset + width > sizeBytes) {
    throw new RangeError(
      `${width} bytes at 0x${offset.toString(16)} lie outside ${name} of ${sizeBytes} bytes`,
    );
  }
  if (offset % Math.min(width, 8) !== 0) {
    throw new RangeError(`${width} bytes at 0x${offset.toString(16)} of ${name} are not aligned`);
  }
}

/** Opens a BAR: mapped parts are accessed straight in memory, the rest by transfers. */
export function openRegion(
  index: number,
  sizeBytes: number,
  areas: readonly MappedArea[],
  transfers: RegionTransfers,
): Region {
  const name = `BAR${index}`;
  /** The address of a range in this process, or 0 if it is not mapped in one piece. */
  const addressOf = (offset: number, width: number): number => {
    for (const area of areas) {
      const at = offset - area.offset;
      if (at >= 0 && at + width <= area.sizeBytes) return area.mapping.address + area.from + at;
    }
    return 0;
  };
  // Most accesses are to the first mapped part: comparing whole numbers finds them there in half of the time. All others,
  // and invalid ones, take the way above. The mapping gives its address each time, because it throws once it is unmapped.
  const [first] = areas;
  const begin = first?.offset ?? 0;
  const end = begin + (first?.sizeBytes ?? 0);
  const shift = (first?.from ?? 0) - begin;
  const locate = (offset: number, width: number): number => {
    const isAligned = offset >>> 0 === offset && (offset & (width < 8 ? width - 1 : 7)) === 0;
    if (isAligned && offset >= begin && offset + width <= end) return first!.mapping.address + shift + offset;
    checkRange(name, sizeBytes, offset, width);
    return addressOf(offset, width);
  };
  const writeWord = (offset: number, width: 1 | 2 | 4 | 8) => transfers.write(offset, bytesOf[width]);

  return {
    index,
    sizeBytes,
    isMapped: (offset, width) => addressOf(offset, width) !== 0,
    read8: (offset) => {
      const address = locate(offset, 1);
      return address ? read8(address) : transfers.read(offset, 1).getUint8(0);
    },
    read16: (offset) => {
      const address = locate(offset, 2);
      return address ? read16(address) : transfers.read(offset, 2).getUint16(0, true);
    },
    read32: (offset) => {
      const address = locate(offset, 4);
      return address ? read32(address) : transfers.read(offset, 4).getUint32(0, true);
    },
    read64: (offset) => {
      const address = locate(offset, 8);
      return address ? read64(address) : transfers.read(offset, 8).getBigUint64(0, true);
    },
    write8: (offset, value) => {
      const address = locate(offset, 1);
      if (address) return write8(address, value);
      word.setUint8(0, value);
      writeWord(offset, 1);
    },
    write16: (offset, value) => {
      const address = locate(offset, 2);
      if (address) return write16(address, value);
      word.setUint16(0, value, true);
      writeWord(offset, 2);
    },
    write32: (offset, value) => {
      const address = locate(offset, 4);
      if (address) return write32(address, value);
      word.setUint32(0, value, true);
      writeWord(offset, 4);
    },
    write64: (offset, value) => {
      const address = locate(offset, 8);
      if (address) return write64(address, value);
      word.setBigUint64(0, value, true);
      writeWord(offset, 8);
    },
    copyIn: (offset, from) => {
      const wholeBytes = from.byteLength - (from.byteLength % 8);
      const padded = Math.ceil(from.byteLength / 8) * 8;
      if (padded === 0) return;
      const address = locate(offset, padded);
      if (address && wholeBytes) copy64(address, ptr(from), wholeBytes / 8);
      for (let at = 0; !address && at < wholeBytes; at += transfers.maxDataBytes) {
        transfers.write(offset + at, from.subarray(at, Math.min(at + transfers.maxDataBytes, wholeBytes)));
      }
      if (padded === wholeBytes) return;
      word.setBigUint64(0, 0n);
      bytesOf[8].set(from.subarray(wholeBytes));
      if (address) write64(address + wholeBytes, word.getBigUint64(0, true));
      else writeWord(offset + wholeBytes, 8);
    },
    copyOut: (offset, to) => {
      const wholeBytes = to.byteLength - (to.byteLength % 8);
      const padded = Math.ceil(to.byteLength / 8) * 8;
      if (padded === 0) return;
      const address = locate(offset, padded);
      if (address && wholeBytes) copy64(ptr(to), address, wholeBytes / 8);
      for (let at = 0; !address && at < wholeBytes; at += transfers.maxDataBytes) {
        const part = transfers.read(offset + at, Math.min(transfers.maxDataBytes, wholeBytes - at));
        to.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
      }
      if (padded === wholeBytes) return;
      const last = address
        ? read64(address + wholeBytes)
        : transfers.read(offset + wholeBytes, 8).getBigUint64(0, true);
      word.setBigUint64(0, last, true);
      to.set(bytesOf[8].subarray(0, to.byteLength - wholeBytes), wholeBytes);
    },
  };
}
