/** What a guest's boot can't be quicker than: QEMU with the same kernel, whose first program prints a line. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Arch, arches } from "../../src/guest/arch.ts";
import { DEFAULT_KERNEL, fetchKernel, fetchPrograms, fetchQemu } from "../../src/guest/assets.ts";
import { packCpio } from "../../src/guest/cpio.ts";
import { treeCommand } from "../../src/guest/qemu.ts";
import { runGuest } from "../../src/guest/run-guest.ts";
import { secondsUntil } from "./measure.ts";

const INIT = "#!/bin/busybox sh\necho x\n/bin/busybox poweroff -f\n";

/**
 * Boots the whole guest once, so that all of it is fetched. The function returned boots the kernel alone, and gives the seconds
 * until its first program's line.
 * @param folder for the initramfs
 */
export async function bareBoot(arch: Arch, folder: string): Promise<() => Promise<number>> {
  const { accelerator } = await runGuest({ arch, command: ["true"] });
  const log = () => {};
  const [tree, programs] = [await fetchQemu(log), await fetchPrograms(arch, log)];
  const { image } = await fetchKernel(arch, DEFAULT_KERNEL, log);
  const busybox = readFileSync(join(programs, "usr/bin/busybox"));
  const initramfs = join(folder, `initramfs-${arch}`);
  const parts = packCpio([
    { path: "bin", kind: "folder" },
    { path: "dev", kind: "folder" },
    { path: "dev/console", kind: "character-device", major: 5, minor: 1 },
    { path: "bin/busybox", kind: "file", data: busybox, executable: true },
    { path: "init", kind: "file", data: new TextEncoder().encode(INIT), executable: true },
  ]);
  writeFileSync(initramfs, Buffer.concat(parts));
  const platform = arches[arch].machine({ accelerator, iommu: true, vfioUser: false });
  const { command, env } = treeCommand(tree, join("usr/bin", arches[arch].qemu), [
    ...["qemu", "seabios"].flatMap((name) => ["-L", join(tree, "usr/share", name)]),
    ...["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"],
    ...["-accel", accelerator, "-m", "1024M", "-smp", "2", ...platform.qemu],
    ...["-kernel", image, "-initrd", initramfs],
    ...["-append", [`console=${arches[arch].console}`, "quiet", "panic=-1", ...platform.kernel].join(" ")],
  ]);
  return () => secondsUntil("x", command, { env });
}
