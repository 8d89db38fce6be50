/** The files of a set-up for use without root: what each says, and how they are written and removed. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { codeOf, readAttribute } from "../bus/attribute.ts";
import { DEFAULT_DRIVER } from "../bus/binding.ts";
import { BusError } from "../bus/bus-error.ts";
import type { Setup } from "./setup-record.ts";
import { udevRules } from "./udev-rules.ts";

/** The first line of each file; one without it is somebody else's. */
export const MARK = "# Made by vfiokit for use without root. It is replaced and removed as a whole.";
/** The second line of the rules: the set-up itself, from which it is removed. */
const STATE = "# set-up: ";

const RULES = "/etc/udev/rules.d/70-vfiokit.rules";
const MODULES = "/etc/modules-load.d/vfiokit.conf";
const LIMITS = "/etc/security/limits.d/vfiokit.conf";
const SYSCTL = "/etc/sysctl.d/vfiokit.conf";
/** All that a set-up may have. */
export const paths: readonly string[] = [RULES, MODULES, LIMITS, SYSCTL];

export interface SetupFile {
  readonly path: string;
  readonly content: string;
}

/** The files of a set-up, with their content. */
export function setupFiles(setup: Setup): SetupFile[] {
  const { group, memlockMib, hugepages } = setup;
  const file = (path: string, ...lines: string[]) => ({ path, content: `${[MARK, ...lines].join("\n")}\n` });
  return [
    file(RULES, `${STATE}${JSON.stringify(setup)}`, ...udevRules(setup)),
    file(MODULES, DEFAULT_DRIVER),
    // limits.conf(5): in KiB.
    file(LIMITS, `@${group} - memlock ${memlockMib * 1024}`),
    ...(hugepages === null ? [] : [file(SYSCTL, `vm.nr_hugepages = ${hugepages}`)]),
  ];
}

/** The set-up that is there; undefined if none is. Throws BusError if it can't be read. */
export function readSetup(root = "/"): Setup | undefined {
  const path = join(root, RULES);
  const text = readAttribute(path);
  if (text === undefined || !text.startsWith(MARK)) return undefined;
  const state = text.split("\n")[1] ?? "";
  try {
    if (state.startsWith(STATE)) return JSON.parse(state.slice(STATE.length)) as Setup;
  } catch {
    // It is no JSON.
  }
  throw new BusError(
    `the second line of ${path} is not as it was written, so what was set up is not known: remove the file by hand`,
  );
}

/** Throws BusError if one of the files is somebody else's. */
export function requireOwn(root = "/"): void {
  const foreign = paths.map((path) => join(root, path)).filter((path) => !isOwn(path) && isThere(path));
  if (foreign.length > 0)
    throw new BusError(
      `${foreign.join(", ")}: it was there before, and stays as it is: move it away, then try again`,
    );
}

/**
 * Writes the files, each as a whole. Removes those of an earlier set-up that this one lacks. Throws BusError, before anything is
 * written if one of them is somebody else's.
 */
export function writeFiles(files: readonly SetupFile[], root = "/"): void {
  requireOwn(root);
  removeFiles(
    root,
    paths.filter((path) => !files.some((file) => file.path === path)),
  );
  for (const { path, content } of files) {
    const full = join(root, path);
    const unfinished = `${full}.unfinished`;
    try {
      mkdirSync(dirname(full), { recursive: true, mode: 0o755 });
      rmSync(unfinished, { force: true });
      writeFileSync(unfinished, content, { mode: 0o644, flag: "wx" });
      renameSync(unfinished, full);
    } catch (error) {
      throw new BusError(`can't write ${full}: ${codeOf(error)}`, { cause: error });
    }
  }
}

/** Removes the files that a set-up wrote, and no other. Returns their paths. Throws BusError. */
export function removeFiles(root = "/", which = paths): string[] {
  const own = which.map((path) => join(root, path)).filter(isOwn);
  for (const path of own) {
    try {
      rmSync(path);
    } catch (error) {
      throw new BusError(`can't remove ${path}: ${codeOf(error)}`, { cause: error });
    }
  }
  return own;
}

const isOwn = (path: string) => readAttribute(path)?.split("\n")[0] === MARK;

function isThere(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch (error) {
    return codeOf(error) !== "ENOENT";
  }
}
