/** A guest's first file system: busybox, modules, and the scripts that run first. Shares have the rest. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Arch, arches } from "./arch.ts";
import type { Kernel } from "./assets.ts";
import { type CpioEntry, packCpio } from "./cpio.ts";

const folders = [
  ...["bin", "dev", "etc", "home", "lib", "lib64", "lib/modules", "mnt", "proc", "root", "run", "sbin"],
  ...["sys", "tmp"],
  ...["usr", "usr/bin", "usr/lib", "usr/local", "usr/local/bin", "usr/sbin", "var"],
];

/** Where the guest mounts its programs; init.sh uses the same path. */
const PROGRAMS = "/run/programs";

/** The unprivileged user; init.sh makes its home. */
export const USER = "user";

const files: Record<string, string> = {
  "etc/passwd": `root:x:0:0:root:/root:/bin/sh\n${USER}:x:1000:1000:${USER}:/home/${USER}:/bin/sh\n`,
  "etc/group": `root:x:0:\n${USER}:x:1000:\n`,
  "etc/hosts": "127.0.0.1 localhost\n",
};

/**
 * Builds the archive to boot with.
 * @param programs folder of the guest's programs; each name becomes a link to where the guest mounts the
 *   folder
 */
export function buildInitramfs(arch: Arch, programs: string, kernel: Kernel): Uint8Array[] {
  const { triplet, loader } = arches[arch];
  const modules = `lib/modules/${kernel.release}`;
  const script = (path: string, name: string): CpioEntry => ({
    path,
    kind: "file",
    data: readFileSync(join(import.meta.dir, name)),
    executable: true,
  });
  const text = (content: string) => new TextEncoder().encode(content);
  const entries: CpioEntry[] = [
    ...[...folders, modules].map((path) => ({ path, kind: "folder" }) as const),
    { path: "dev/console", kind: "character-device", major: 5, minor: 1 },
    script("init", "init.sh"),
    script("agent.sh", "agent.sh"),
    {
      path: "bin/busybox",
      kind: "file",
      data: readFileSync(join(programs, "usr/bin/busybox")),
      executable: true,
    },
    { path: "bin/sh", kind: "link", target: "busybox" },
    ...Object.entries(files).map(([path, content]) => ({ path, kind: "file", data: text(content) }) as const),
    ...readdirSync(kernel.modules).map((name) => {
      return {
        path: `${modules}/${name}`,
        kind: "file",
        data: readFileSync(join(kernel.modules, name)),
      } as const;
    }),
    { path: loader, kind: "link", target: `${PROGRAMS}/usr/lib/${triplet}/${loader.split("/").at(-1)}` },
    { path: `usr/lib/${triplet}`, kind: "link", target: `${PROGRAMS}/usr/lib/${triplet}` },
    { path: "usr/share", kind: "link", target: `${PROGRAMS}/usr/share` },
    ...readdirSync(join(programs, "usr/bin"))
      .filter((name) => name !== "busybox")
      .map(
        (name) => ({ path: `usr/bin/${name}`, kind: "link", target: `${PROGRAMS}/usr/bin/${name}` }) as const,
      ),
  ];
  return packCpio(entries);
}
