/** vfiokit/guest: boots a guest with devices of one's choice and runs a command in it. */
import "../os/bun-version.ts";
import "../schemes.ts";
import "./globals.ts";

export { MissingToolError } from "../debian/process.ts";
export { type Arch, arches, hostArch } from "../guest/arch.ts";
export { type BootResult, type ByteSink, GuestError, type GuestFailure } from "../guest/boot.ts";
export { deviceNames, knownDevices } from "../guest/devices.ts";
export { type GuestResult, runGuest, type UnwrittenFile } from "../guest/guest.ts";
export { type GuestOptions, OptionError } from "../guest/options.ts";
export { type Trace, UnknownDevice } from "../guest/qemu.ts";
