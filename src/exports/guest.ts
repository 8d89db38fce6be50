/** vfiokit/guest: boots a guest with devices of one's choice and runs commands in it. */
import "../os/bun-version.ts";
import "../schemes.ts";
import "./globals.ts";

export { MissingToolError } from "../debian/process.ts";
export { type Arch, arches, hostArch } from "../guest/arch.ts";
export type { RunOptions, RunResult } from "../guest/commands.ts";
export { deviceNames, knownDevices } from "../guest/devices.ts";
export { GuestError, type GuestFailure } from "../guest/failure.ts";
export { bootGuest, type Guest, type GuestFacts } from "../guest/guest.ts";
export { type BootGuestOptions, type GuestOptions, OptionError } from "../guest/options.ts";
export type { PluggedDevice } from "../guest/plug.ts";
export { type Trace, UnknownDevice } from "../guest/qemu.ts";
export { type GuestResult, runGuest, type UnwrittenFile } from "../guest/run-guest.ts";
export type { ByteSink, Input, Terminal } from "../guest/streams.ts";
