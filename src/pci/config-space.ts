/**
 * Configuration space. Accesses have exact widths and are naturally aligned. A write is done when it returns.
 * Throws the backend's errors.
 */
export interface ConfigSpace {
  readonly sizeBytes: number;
  read8(offset: number): number;
  read16(offset: number): number;
  read32(offset: number): number;
  write8(offset: number, value: number): void;
  write16(offset: number, value: number): void;
  write32(offset: number, value: number): void;
}

/** How a configuration space is reached: by message, or by system call. */
export interface ConfigAccess {
  /** A view that the next access overwrites. */
  read(offset: number, sizeBytes: 1 | 2 | 4): DataView;
  write(offset: number, bytes: Uint8Array<ArrayBuffer>): void;
}

const word = new DataView(new ArrayBuffer(4));
const bytesOf = {
  1: new Uint8Array(word.buffer, 0, 1),
  2: new Uint8Array(word.buffer, 0, 2),
  4: new Uint8Array(word.buffer),
};

/** Accesses throw RangeError if they are out of bounds or not aligned. */
export function openConfigSpace(sizeBytes: number, access: ConfigAccess): ConfigSpace {
  const checked = <W extends 1 | 2 | 4>(offset: number, width: W): W => {
    if (!Number.isInteger(offset) || offset < 0 || offset + width > sizeBytes || offset % width !== 0) {
      throw new RangeError(
        `${width} bytes at 0x${offset.toString(16)} of ${sizeBytes} bytes of configuration space: outside, or not aligned`,
      );
    }
    return width;
  };
  const write = (offset: number, width: 1 | 2 | 4, value: number) => {
    checked(offset, width);
    word.setUint32(0, value, true);
    access.write(offset, bytesOf[width]);
  };
  return {
    sizeBytes,
    read8: (offset) => access.read(offset, checked(offset, 1)).getUint8(0),
    read16: (offset) => access.read(offset, checked(offset, 2)).getUint16(0, true),
    read32: (offset) => access.read(offset, checked(offset, 4)).getUint32(0, true),
    write8: (offset, value) => write(offset, 1, value),
    write16: (offset, value) => write(offset, 2, value),
    write32: (offset, value) => write(offset, 4, value),
  };
}
