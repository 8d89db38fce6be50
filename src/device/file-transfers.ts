import { SystemError } from "../os/errno.ts";
import { type Fd, readAt, writeAt } from "../os/fd.ts";
import type { Advice } from "../remedy/remedy.ts";
import { DeviceError } from "./device.ts";
import type { RegionTransfers } from "./region.ts";

/** A region's place in a file, and the explanation for a failed access. */
export interface RegionFile {
  readonly fd: Fd;
  readonly fileOffset: number;
  /** For messages. */
  readonly name: string;
  readonly maxDataBytes: number;
  /** The text after the errno's name in a message; "" if nothing is known. */
  readonly explain: (code: string) => Advice | undefined;
}

/** Accesses a region by pread and pwrite. Both transfers throw DeviceError. */
export function fileTransfers(file: RegionFile, spec: string): RegionTransfers {
  const { fd, fileOffset, name, maxDataBytes, explain } = file;
  const scratch = new Uint8Array(new ArrayBuffer(Math.max(8, maxDataBytes)));
  const transfer = (move: typeof readAt, bytes: Uint8Array, offset: number, verb: string) => {
    const what = `${verb} ${bytes.byteLength} bytes at 0x${offset.toString(16)} of ${name}`;
    try {
      move(fd, bytes, fileOffset + offset, what);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const why = explain(error.code);
      throw new DeviceError(`${spec}: ${error.message}${why ? `: ${why.text}` : ""}`, {
        cause: error,
        remedies: why?.remedies ?? [],
      });
    }
  };
  return {
    maxDataBytes,
    read: (offset, sizeBytes) => {
      transfer(readAt, scratch.subarray(0, sizeBytes), offset, "read");
      return new DataView(scratch.buffer, 0, sizeBytes);
    },
    write: (offset, bytes) => transfer(writeAt, bytes, offset, "write"),
  };
}
