/** A function's configuration space through its `config` file in sysfs, whatever driver is bound to it. */
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Advice } from "../../remedy/remedy.ts";
import { type ConfigSpace, openConfigSpace } from "../config-space.ts";
import { codeOf } from "./attribute.ts";
import { BusError } from "./bus-error.ts";
import type { PciFunction } from "./functions.ts";

export type ConfigFile = ConfigSpace & Disposable;

/**
 * Bytes that anyone may read. The rest requires CAP_SYS_ADMIN (pci_read_config in drivers/pci/pci-sysfs.c).
 */
const PUBLIC_BYTES = 64;

const advice: Readonly<Record<string, Advice>> = {
  EACCES: { text: "this needs root: run it with sudo", remedies: [] },
  EPERM: {
    text: "kernel lockdown forbids it, or it needs root",
    remedies: [{ verb: "doctor", args: [], does: "shows which" }],
  },
  EROFS: {
    text: "sysfs is mounted read-only here, as in most containers: run it on the host itself",
    remedies: [],
  },
  ENOENT: { text: "the function has gone away", remedies: [] },
};

function failed(address: string, what: string, error: unknown): BusError {
  const code = codeOf(error);
  const hint = advice[code];
  return new BusError(
    `can't ${what} configuration space of ${address}: ${code}${hint ? `: ${hint.text}` : ""}`,
    { cause: error, remedies: hint?.remedies ?? [] },
  );
}

/**
 * Opens it for reading, or also for writing. A virtual function's own ids read as ones (PCIe 6.0, section
 * 9.3.4.1.1), so this shows the ids that the kernel knows, as VFIO does. Each access reaches the function at
 * once, with its own width. Throws BusError; so do accesses beyond byte 64 without root, and any that the
 * kernel refuses.
 */
export function openConfigFile(
  of: Pick<PciFunction, "address" | "path" | "vendor" | "device" | "physicalFunction">,
  mode: "r" | "r+",
): ConfigFile {
  const { address } = of;
  let fd: number;
  try {
    fd = openSync(join(of.path, "config"), mode);
  } catch (error) {
    throw failed(address, mode === "r" ? "open" : "open for writing", error);
  }
  let open = true;
  /** The kernel reuses a closed descriptor's number for the next file. */
  const stillOpen = () => {
    if (!open) throw new BusError(`configuration space of ${address} is already closed`);
  };
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  const ids = [of.vendor, of.device].flatMap((id) => [id & 0xff, id >>> 8]);
  const putIds = (offset: number, sizeBytes: number) => {
    for (let at = offset; at < offset + sizeBytes && at < ids.length; at++) bytes[at - offset] = ids[at]!;
  };
  const space = openConfigSpace(fstatSync(fd).size, {
    read(offset, sizeBytes) {
      stillOpen();
      let done: number;
      try {
        done = readSync(fd, bytes, 0, sizeBytes, offset);
      } catch (error) {
        throw failed(address, `read ${sizeBytes} bytes at 0x${offset.toString(16)} of`, error);
      }
      if (done === sizeBytes) {
        if (of.physicalFunction !== undefined) putIds(offset, sizeBytes);
        return view;
      }
      const why =
        offset >= PUBLIC_BYTES ? "beyond byte 64 it needs root: run it with sudo" : "it has gone away";
      throw new BusError(
        `can't read ${sizeBytes} bytes at 0x${offset.toString(16)} of configuration space of ${address}: ${why}`,
      );
    },
    write(offset, from) {
      stillOpen();
      try {
        writeSync(fd, from, 0, from.byteLength, offset);
      } catch (error) {
        throw failed(address, `write ${from.byteLength} bytes at 0x${offset.toString(16)} of`, error);
      }
    },
  });
  return {
    ...space,
    [Symbol.dispose]() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}
