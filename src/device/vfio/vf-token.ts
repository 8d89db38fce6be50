/**
 * VF tokens. A program that has a physical function can disturb its virtual ones. If the kernel gave it to user space, by vfio-pci, it
 * therefore opens a virtual function only for programs that know the UUID with which the physical one was opened
 * (vfio_pci_core_match in the kernel).
 */
import { ptr } from "bun:ffi";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { SystemError } from "../../os/errno.ts";
import { type Fd, ioctl } from "../../os/fd.ts";
import { type PciFunction, readFunction } from "../../pci/bus/functions.ts";
import { isVfioDriver } from "../../pci/bus/group.ts";
import { DeviceError } from "../device.ts";
import { BindFlag, DeviceFeature, Vfio } from "./abi.ts";

const FORM = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Throws DeviceError if a token is no UUID, or if the function neither is nor has virtual functions that need one. */
export function checkVfToken(token: string, pci: PciFunction, spec: string): void {
  if (!FORM.test(token))
    throw new DeviceError(
      `${spec}: the VF token "${token}" is not a UUID, such as 7f0c1c1e-58a0-4c53-9d0e-3b5a6d1f2a90`,
    );
  const { address, path, physicalFunction } = pci;
  if (physicalFunction === undefined) {
    if (existsSync(join(path, "sriov_totalvfs"))) return;
    throw new DeviceError(
      `${spec}: a VF token was given, but ${address} is not a virtual function, and has none: open it without a token`,
    );
  }
  const { driver } = readFunction(physicalFunction);
  if (!isVfioDriver(driver))
    throw new DeviceError(
      `${spec}: a VF token was given, but ${driver ?? "no driver"} has the physical function ${physicalFunction}, not vfio-pci: open ${address} without a token`,
    );
}

/** What the kernel takes for the device's name: the token follows the address. */
export function nameWithToken(address: string, token: string | undefined): string {
  return token === undefined ? address : `${address} vf_token=${token}`;
}

/** An error that says why the kernel refused a function (EACCES); any other error as it is. */
export function explainRefusal(
  error: unknown,
  { address, physicalFunction }: PciFunction,
  token: string | undefined,
  spec: string,
): unknown {
  if (!(error instanceof SystemError && error.code === "EACCES")) return error;
  const why =
    physicalFunction === undefined
      ? `its virtual functions are in use, so it is opened only with the VF token that they were opened with: ${address}?vf_token=UUID`
      : `${token === undefined ? "it needs a VF token" : "this is not its VF token"}, because its physical function is bound to vfio-pci: use the one that ${physicalFunction} was opened with, as ${physicalFunction}?vf_token=UUID`;
  return new DeviceError(`${spec}: ${error.message}: ${why}`, { cause: error });
}

/** `struct vfio_device_bind_iommufd`: u32 argsz, flags, i32 iommufd, u32 device id, u64 address of the token's bytes. */
export function bindToIommufd(device: Fd, iommufd: number, token: string | undefined, what: string): void {
  const bind = new DataView(new ArrayBuffer(token === undefined ? 16 : 24));
  bind.setUint32(0, bind.byteLength, true);
  bind.setInt32(8, iommufd, true);
  const uuid = token === undefined ? undefined : bytesOf(token);
  if (uuid !== undefined) {
    bind.setUint32(4, BindFlag.TOKEN, true);
    bind.setBigUint64(16, BigInt(ptr(uuid)), true);
  }
  ioctl(device, Vfio.DEVICE_BIND_IOMMUFD, bind, what);
}

/**
 * Sets the token of an open physical function's virtual ones: `struct vfio_device_feature`, u32 argsz, flags, then the UUID. Throws
 * SystemError.
 */
export function setVfToken(device: Fd, token: string, what: string): void {
  const feature = new Uint8Array(new ArrayBuffer(24));
  const header = new DataView(feature.buffer);
  header.setUint32(0, feature.byteLength, true);
  header.setUint32(4, DeviceFeature.SET | DeviceFeature.PCI_VF_TOKEN, true);
  feature.set(bytesOf(token), 8);
  ioctl(device, Vfio.DEVICE_FEATURE, feature, what);
}

/** A UUID's 16 bytes, in the order of its text. */
function bytesOf(token: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(token.replaceAll("-", ""), "hex"));
}
