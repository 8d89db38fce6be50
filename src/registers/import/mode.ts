/** A table's modes from a description's accesses. */
import type { Mode } from "../table.ts";
import type { Access } from "./description.ts";

export interface Judged {
  readonly mode: Mode;
  /** What the mode does not say; undefined if it says all. */
  readonly lost?: string | undefined;
}

/** Undefined: software has no access. */
export function judgeAccess({
  access = "read-write",
  modifiedWriteValue,
  readAction,
}: Access): Judged | undefined {
  const isReadable = access.startsWith("read");
  const isWritable = access !== "read-only" && (isReadable || access.startsWith("write"));
  if (!isReadable && !isWritable) return undefined;
  const once = /once$/i.test(access) ? "only the first write counts" : undefined;
  if (!isWritable) {
    if (readAction === "clear") return { mode: "rc" };
    return { mode: "ro", lost: readAction && `a read has an effect (${readAction})` };
  }
  const effect = modifiedWriteValue && `a write has an effect (${modifiedWriteValue})`;
  if (!isReadable) return { mode: "wo", lost: effect ?? once };
  const read = readAction && `a read has an effect (${readAction}), and dumps read it`;
  if (modifiedWriteValue === "oneToClear") return { mode: "w1c", lost: read ?? once };
  if (modifiedWriteValue === "oneToSet") return { mode: "w1s", lost: read ?? once };
  return { mode: "rw", lost: read ?? effect ?? once };
}

/**
 * The mode of a register whose fields have these: one that allows every access that a field allows. `lost` is set where a
 * driver must take care, because writing one field has an effect on another.
 */
export function joinModes(modes: ReadonlySet<Mode>): Judged {
  const some = [...modes].filter((mode) => mode !== "ro");
  const [first = "ro"] = some;
  if (some.length <= 1) return { mode: first === "wo" && modes.has("ro") ? "rw" : first };
  if (some.every((mode) => mode === "rw" || mode === "wo")) return { mode: "rw" };
  return {
    mode: "rw",
    lost: `it mixes ${[...modes].join(", ")}; its mode is rw, and each field's about has the field's own`,
  };
}
