/** vfiokit/decode: configuration space in words. Opens no device. */
import "../os/bun-version.ts";
import "./globals.ts";

export type { DecodedBridge, DecodedWindow } from "../pci/decode/bridge.ts";
export type { DecodedCapability } from "../pci/decode/capabilities/capability.ts";
export type { DecodedRegister } from "../pci/decode/capabilities/register-layout.ts";
export { type DecodedFunction, decodeConfig, doesAnswer } from "../pci/decode/decode.ts";
export { describe, type Surroundings } from "../pci/decode/describe.ts";
export type { DecodedHeader, DecodedRegion, KnownRegion } from "../pci/decode/header.ts";
export { DumpError, type DumpedFunction, readDump } from "../pci/decode/hex-dump.ts";
export { openNames, type PciNames } from "../pci/decode/names.ts";
