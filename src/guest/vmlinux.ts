/** Unpacks an x86-64 kernel's image, which otherwise unpacks itself in the guest: seconds where the processor is emulated. */

import { MAX_KERNEL_BYTES } from "./limits.ts";

/** Of an image's header (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"). */
const SETUP_SECTORS = 0x1f1;
const MAGIC = { offset: 0x202, text: "HdrS" };
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SECTOR_BYTES = 512;
const ZSTD = 0xfd2fb528;

/** Of an ELF file with 64 bits, and its notes (elf(5)). */
const ELF = 0x464c457f;
const PROGRAM_HEADERS = { offset: 0x20, size: 0x36, count: 0x38 };
const PT_NOTE = 4;
/** XEN_ELFNOTE_PHYS32_ENTRY: the entry point at which QEMU starts such a file (xen/include/public/elfnote.h). */
const ENTRY_NOTE = { name: "Xen", type: 18 };

/** The kernel as an ELF file that QEMU can start. Undefined for another kind of image, which QEMU has to start as it is. */
export function unpackKernel(image: Uint8Array): Uint8Array | undefined {
  const header = Buffer.from(image.buffer, image.byteOffset, image.byteLength);
  if (header.length < 0x250 || header.toString("latin1", MAGIC.offset, MAGIC.offset + 4) !== MAGIC.text)
    return undefined;
  const start = (header[SETUP_SECTORS]! + 1) * SECTOR_BYTES + header.readUInt32LE(PAYLOAD_OFFSET);
  // Its last four bytes are its unpacked length.
  const payload = header.subarray(start, start + header.readUInt32LE(PAYLOAD_LENGTH) - 4);
  if (payload.length < 4 || payload.readUInt32LE(0) !== ZSTD) return undefined;
  const lengthAt = start + payload.length;
  if (lengthAt + 4 > header.length || header.readUInt32LE(lengthAt) > MAX_KERNEL_BYTES) return undefined;
  const kernel = Buffer.from(Bun.zstdDecompressSync(payload));
  return hasEntryNote(kernel) ? kernel : undefined;
}

function hasEntryNote(elf: Buffer): boolean {
  if (elf.readUInt32LE(0) !== ELF) return false;
  const first = Number(elf.readBigUInt64LE(PROGRAM_HEADERS.offset));
  const sizeBytes = elf.readUInt16LE(PROGRAM_HEADERS.size);
  for (let index = 0; index < elf.readUInt16LE(PROGRAM_HEADERS.count); index++) {
    const at = first + index * sizeBytes;
    if (elf.readUInt32LE(at) !== PT_NOTE) continue;
    const [offset, length] = [at + 0x08, at + 0x20].map((field) => Number(elf.readBigUInt64LE(field)));
    for (let note = offset!; note < offset! + length!; ) {
      const [nameBytes, contentBytes, type] = [0, 4, 8].map((field) => elf.readUInt32LE(note + field));
      const name = elf.toString("latin1", note + 12, note + 12 + nameBytes! - 1);
      if (name === ENTRY_NOTE.name && type === ENTRY_NOTE.type) return true;
      note += 12 + aligned(nameBytes!) + aligned(contentBytes!);
    }
  }
  return false;
}

const aligned = (bytes: number) => (bytes + 3) & ~3;
