/** Which folders of this machine a guest sees, and where: vfiokit's own, and the user's project. */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** vfiokit's folder, with package.json: a clone of the project, or the package in somebody's node_modules. */
export const packageRoot = resolve(import.meta.dir, "../..");

/** A folder, shared under its name; the guest has it at `/NAME`, with changes of its own that go with the guest. */
export interface SharedFolder {
  readonly name: "vfiokit" | "project";
  readonly path: string;
}

export interface GuestView {
  readonly folders: readonly SharedFolder[];
  /** The rest are paths in the guest. The user's project. */
  readonly project: string;
  /** The folder that the guest shares with this machine. */
  readonly work: string;
  /** vfiokit's program, scripts/vfiokit.ts. */
  readonly program: string;
  /** A link to make, so that imports find vfiokit: what stands there now leads to where the guest has nothing. */
  readonly link: { readonly path: string; readonly target: string };
}

/** The folder with the nearest package.json at or above one; the folder itself where there is none. */
export function projectOf(folder: string): string {
  const start = realpathSync(folder);
  for (let at = start; ; at = dirname(at)) {
    if (existsSync(join(at, "package.json"))) return at;
    if (at === dirname(at)) return start;
  }
}

/**
 * In a clone the guest sees that, and works in it. A project that the clone is linked into is there, too. A package is seen
 * with the project that it is installed in; one that is installed elsewhere, globally say, beside the project.
 */
export function guestView(project: string, root = packageRoot): GuestView {
  const program = (home: string, at: string) => join(at, relative(home, root), "scripts/vfiokit.ts");
  const home = root.split("/node_modules/")[0] || "/";
  if (home === root) {
    const clone = { name: "vfiokit", path: root } as const;
    const linked = join(project, "node_modules/vfiokit");
    const isLinked = project !== root && existsSync(linked) && realpathSync(linked) === root;
    return {
      folders: isLinked ? [clone, { name: "project", path: project }] : [clone],
      project: isLinked ? "/project" : "/vfiokit",
      work: "/vfiokit/work",
      program: program(root, "/vfiokit"),
      link: isLinked
        ? { path: "/project/node_modules/vfiokit", target: "/vfiokit" }
        : { path: "/node_modules", target: "/vfiokit/node_modules" },
    };
  }
  // The working directory lies beside the project, where files that are brought there find its packages.
  const work = "/work";
  const outer = [home, project].find((one) => isWithin(home, one) && isWithin(project, one));
  if (outer !== undefined)
    return {
      folders: [{ name: "project", path: outer }],
      project: join("/project", relative(outer, project)),
      work,
      program: program(outer, "/project"),
      link: { path: "/node_modules", target: join("/project", relative(outer, home), "node_modules") },
    };
  return {
    folders: [
      { name: "vfiokit", path: home },
      { name: "project", path: project },
    ],
    project: "/project",
    work,
    program: program(home, "/vfiokit"),
    link: { path: "/node_modules", target: "/project/node_modules" },
  };
}

/** The path in the guest of a file of this machine's. Throws RangeError if the guest does not have it. */
export function pathIn({ folders }: GuestView, file: string | URL): string {
  const path = realpathSync(file instanceof URL ? fileURLToPath(file) : file);
  const folder = folders.find((folder) => isWithin(path, realpathSync(folder.path)));
  if (!folder)
    throw new RangeError(
      `the guest does not have ${path}: it has ${folders.map(({ path }) => path).join(" and ")}; put() copies a file into it`,
    );
  return join("/", folder.name, relative(realpathSync(folder.path), path));
}

const isWithin = (path: string, folder: string) => path === folder || path.startsWith(join(folder, "/"));
