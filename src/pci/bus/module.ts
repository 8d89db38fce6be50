/** Whether the kernel has a module: loaded, built in, or available to modprobe. */
import { existsSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { readAttribute } from "./attribute.ts";

/** Loaded includes built in; available means that modprobe can load it. */
export type ModuleState = "loaded" | "available" | "absent";

/** Advice for an absent module. */
export const FULL_KERNEL = "install the distribution's full kernel, or its package of extra modules";

/** The kernel treats - and _ in a module's name as the same; sysfs uses _ only. */
export function moduleState(name: string): ModuleState {
  if (existsSync(`/sys/module/${name.replaceAll("-", "_")}`)) return "loaded";
  const folder = `/lib/modules/${release()}`;
  const has = (file: string) =>
    new RegExp(`(^|/)${name.replace(/[-_]/g, "[-_]")}\\.ko`, "m").test(
      readAttribute(join(folder, file)) ?? "",
    );
  if (has("modules.builtin")) return "loaded";
  return has("modules.dep") ? "available" : "absent";
}
