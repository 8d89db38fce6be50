/** Uses of a virtio function: the file systems it provides, and its console. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { listFolder, readAttribute, readLinkName } from "./attribute.ts";
import type { PciFunction } from "./functions.ts";

interface Mount {
  readonly source: string;
  readonly where: string;
  readonly type: string;
}

/** Reasons not to take a function from virtio-pci; empty if virtio-pci does not have it. */
export function virtioUses(of: PciFunction): string[] {
  return children(of).flatMap((name) => {
    const path = join(of.path, name);
    const driver = readLinkName(join(path, "driver"));
    if (driver === "9pnet_virtio") return mountUses("9p", readTag(join(path, "mount_tag")));
    if (driver === "virtiofs") return mountUses("virtiofs", virtiofsTag(name));
    if (driver === "virtio_console") return consoleUses();
    return [];
  });
}

/** Names of the function's serial ports in /dev. */
export function virtioPorts(of: PciFunction): string[] {
  return children(of).flatMap((name) => listFolder(join(of.path, name, "virtio-ports")));
}

/** The function's virtio devices: virtio0. */
function children(of: PciFunction): string[] {
  return listFolder(of.path).filter((name) => /^virtio\d+$/.test(name));
}

/** Where a file system of this type and tag is mounted; with any tag if the kernel does not report the device's. */
function mountUses(type: string, tag: string | undefined): string[] {
  return mounts()
    .filter((mount) => mount.type === type && (tag === undefined || mount.source === tag))
    .map(
      ({ source, where }) =>
        `${type} ${source} is mounted on ${where}${tag === undefined ? ", possibly from it" : ""}`,
    );
}

/** The kernel includes the terminating zero. */
function readTag(path: string): string | undefined {
  return readAttribute(path)?.replaceAll("\0", "");
}

/** From Linux 6.9 on: Documentation/ABI/testing/sysfs-fs-virtiofs in the kernel. */
function virtiofsTag(device: string): string | undefined {
  const root = "/sys/fs/virtiofs";
  const entry = listFolder(root).find((name) => readLinkName(join(root, name, "device")) === device);
  return entry === undefined ? undefined : readTag(join(root, entry, "tag"));
}

/** Nothing says which device an hvc belongs to, so any that is the kernel's console may be this one. */
function consoleUses(): string[] {
  const active = (readAttribute("/sys/class/tty/console/active") ?? "").split(" ");
  return active
    .filter((name) => /^hvc\d+$/.test(name))
    .map((name) => `${name}, possibly from it, is the kernel's console`);
}

/** proc(5), /proc/mounts: SOURCE MOUNTPOINT TYPE ..., with white space as octal numbers. */
function mounts(): Mount[] {
  const plain = (text = "") =>
    text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
  let text: string;
  try {
    text = readFileSync("/proc/mounts", "latin1");
  } catch {
    return [];
  }
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [source, where, type] = line.split(" ").map(plain);
      return { source: source!, where: where!, type: type! };
    });
}
