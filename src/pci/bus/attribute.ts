/** One file of sysfs or procfs: a value to read, or a command to write. */
import { closeSync, constants, openSync, readdirSync, readFileSync, readlinkSync, writeSync } from "node:fs";
import { basename } from "node:path";
import type { Advice } from "../../remedy/remedy.ts";
import { BusError } from "./bus-error.ts";

/** The errno name of a failed file operation. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "unknown error";
}

/** A file's text without the final newline; undefined if it can't be read. */
export function readAttribute(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1").replace(/\n$/, "");
  } catch {
    return undefined;
  }
}

/** The names in a folder; empty if it can't be read. */
export function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Base name of a link's target, as for `driver` and `iommu_group`; undefined if there is no link. */
export function readLinkName(path: string): string | undefined {
  try {
    return basename(readlinkSync(path));
  } catch {
    return undefined;
  }
}

const advice: Readonly<Record<string, Advice>> = {
  EACCES: { text: "this needs root: run it with sudo", remedies: [] },
  EPERM: {
    text: "the kernel forbids it: root is needed, and kernel lockdown must be off",
    remedies: [{ verb: "doctor", args: [], does: "shows which applies" }],
  },
  EROFS: {
    text: "sysfs is mounted read-only here, as in most containers: run it on the host itself",
    remedies: [],
  },
};

/** Opens a sysfs file to write one value. `what` completes "can't ...". Throws BusError. */
export function openAttribute(path: string, what: string): number {
  try {
    return openSync(path, constants.O_WRONLY);
  } catch (error) {
    throw failed(error, path, what);
  }
}

/** Writes a value in one system call, as sysfs requires. `what` completes "can't ...". Throws BusError. */
export function writeAttribute(path: string, value: string, what: string): void {
  const fd = openAttribute(path, what);
  try {
    writeSync(fd, value);
  } catch (error) {
    throw failed(error, path, what);
  } finally {
    closeSync(fd);
  }
}

function failed(error: unknown, path: string, what: string): BusError {
  const code = codeOf(error);
  const hint = advice[code];
  return new BusError(`can't ${what}: write ${path}: ${code}${hint ? `: ${hint.text}` : ""}`, {
    cause: error,
    remedies: hint?.remedies ?? [],
  });
}
