/** What a fresh machine lacks, taken away from this one in namespaces of its own. */
import { existsSync } from "node:fs";
import { run } from "../media/rig.ts";

const asRoot = process.geteuid?.() === 0 ? [] : ["--map-root-user"];

/** A command with a line of sh run before it, in a mount namespace of its own. */
function prepared(line: string, command: readonly string[], more: readonly string[] = []): string[] {
  return ["unshare", ...asRoot, "--mount", ...more, "sh", "-ec", `${line}\nexec "$@"`, "sh", ...command];
}

/** The command on a machine where no libvpx can be loaded. */
export function withoutLibvpx(command: readonly string[], more: readonly string[] = []): string[] {
  const known = run("/sbin/ldconfig", "-p")
    .toString()
    .matchAll(/^\s*libvpx\.so\S* .* => (\S+)$/gm);
  const libraries = [...known].map(([, path]) => path!);
  if (libraries.length === 0)
    throw new Error("the system has no libvpx to hide; test/setup.sh installs vpx-tools");
  return prepared(libraries.map((path) => `mount --bind /dev/null ${path}`).join("\n"), command, more);
}

/** The same, and without a network, but for the loopback interface. */
export function withoutNetwork(command: readonly string[]): string[] {
  return withoutLibvpx(command, ["--net"]);
}

/** The command where apt's sources are a folder's. */
export function withSources(folder: string, command: readonly string[]): string[] {
  const list = existsSync("/etc/apt/sources.list") ? "mount --bind /dev/null /etc/apt/sources.list\n" : "";
  return prepared(`${list}mount --bind ${folder} /etc/apt/sources.list.d`, command);
}
