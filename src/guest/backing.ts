/** What a guest's device needs on this machine: a process for a model, a file for a disk. */
import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { serveModel } from "../model/hosting/served.ts";
import { type GuestDevice, needsDisk, type QemuDevice, vfioUserDevice, withProperties } from "./devices.ts";
import type { Disk } from "./qemu.ts";

/** A device that QEMU can have now. */
export interface BackedDevice extends AsyncDisposable {
  readonly device: QemuDevice;
  /** The disk that the device names as its drive. */
  readonly disk?: Disk;
}

/** The size of the disk behind an nvme. */
const DISK_BYTES = 64 * 2 ** 20;

/**
 * @param folder a folder for sockets and disks
 * @param name of the device, for the names of its files
 * @throws Error with the model's output if it does not start
 */
export async function backDevice(
  device: GuestDevice,
  folder: string,
  name: string,
  log: (line: string) => void,
): Promise<BackedDevice> {
  if (device.kind === "vfio-user") return { device: vfioUserDevice(device.socketPath), ...nothing };
  if (device.kind === "model") {
    const path = join(folder, `model-${name}.sock`);
    const served = await serveModel(device.model, { socketPath: path, log });
    return { device: vfioUserDevice(path), [Symbol.asyncDispose]: () => served[Symbol.asyncDispose]() };
  }
  if (!needsDisk(device)) return { device, ...nothing };
  const disk = { name: `disk-${name}`, path: join(folder, `disk-${name}`) };
  writeFileSync(disk.path, "");
  truncateSync(disk.path, DISK_BYTES); // sparse: takes only the space that the guest writes to
  return {
    device: withProperties(device, { drive: disk.name }),
    disk,
    async [Symbol.asyncDispose]() {
      rmSync(disk.path, { force: true });
    },
  };
}

const nothing: AsyncDisposable = { async [Symbol.asyncDispose]() {} };
