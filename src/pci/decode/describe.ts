/** Describes a function in the form of `lspci -vvv`. */

import type { DecodedWindow } from "./bridge.ts";
import type { DecodedCapability } from "./capabilities/capability.ts";
import { bridgeSubsystem, type DecodedFunction } from "./decode.ts";
import type { DecodedRegion } from "./header.ts";
import type { PciNames } from "./names.ts";

/** Platform facts about a function, beyond its configuration space. */
export interface Surroundings {
  /** 0000:00:09.0, or another name for the function. */
  readonly address?: string;
  /** The IRQ of INTx; by default the header's interrupt line. */
  readonly irq?: number;
  readonly numaNode?: number;
  readonly iommuGroup?: string;
  readonly driver?: string;
}

type SubsystemIds = Pick<DecodedFunction, "subsystemVendorId" | "subsystemId">;

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
const sign = (on: boolean) => (on ? "" : " [disabled]");

/** A decoded function in the words of lspci -vvv: lines, joined by newlines, without one at the end. */
export function describe(decoded: DecodedFunction, names: PciNames, around: Surroundings = {}): string {
  const { numaNode, iommuGroup, driver } = around;
  if (!decoded.answers)
    return [
      ...title(decoded, names, around.address),
      "\t!!! It does not answer: its configuration space reads as all ones (link down, powered off, or being programmed)",
    ].join("\n");
  const [control, status, secondary, bridgeControl] = decoded.registers.map(({ lines }) => lines);
  const irq = around.irq ?? decoded.interruptLine;
  const { bist, bridge, expansionRom: rom } = decoded;
  const isCardBus = decoded.headerType === 2;
  const lines = [
    ...(decoded.headerType > 2 ? [`!!! Unknown header type ${hex(decoded.headerType, 2)}`] : []),
    ...control!,
    ...status!,
    ...latency(decoded),
    ...(decoded.interruptPin || irq
      ? [`Interrupt: pin ${decoded.interruptPin ?? "?"} routed to IRQ ${irq}`]
      : []),
    ...(numaNode === undefined ? [] : [`NUMA node: ${numaNode}`]),
    ...(iommuGroup === undefined ? [] : [`IOMMU group: ${iommuGroup}`]),
    ...(bist ? [bist.running ? "BIST is running" : `BIST result: ${hex(bist.code, 2)}`] : []),
    ...decoded.regions.map(regionLine),
    ...(bridge
      ? [
          `Bus: primary=${hex(bridge.primaryBus, 2)}, secondary=${hex(bridge.secondaryBus, 2)}, subordinate=${hex(bridge.subordinateBus, 2)}, sec-latency=${bridge.secondaryLatencyTimer}`,
          ...(isCardBus ? cardBusWindows(decoded) : bridge.windows.map(windowLine)),
          ...secondary!,
        ]
      : []),
    ...(rom
      ? [`Expansion ROM at ${address(rom.address, 8)}${romState(decoded)}${sizeSuffix(rom.sizeBytes)}`]
      : []),
    ...(bridge ? bridgeControl!.map((line, i) => (i > 0 ? `\t${line}` : line)) : []),
    ...(bridge?.legacyModeBase ? [`16-bit legacy interface ports at ${hex(bridge.legacyModeBase, 4)}`] : []),
    ...decoded.capabilities.flatMap((capability) => capabilityLines(capability, decoded, names)),
    ...(driver === undefined ? [] : [`Kernel driver in use: ${driver}`]),
  ];
  return [...title(decoded, names, around.address), ...lines.map((line) => `\t${line}`)].join("\n");
}

function title(decoded: DecodedFunction, names: PciNames, address?: string): string[] {
  const { vendorId, deviceId, classCode, revision, subsystemVendorId } = decoded;
  const kind = names.class(classCode);
  const number = hex(classCode >>> 8, 4);
  const className = kind.sub ?? (kind.base ? `${kind.base} [${number}]` : `Class ${number}`);
  const programming = classCode & 0xff;
  const shown = [
    `${address === undefined ? "" : `${address} `}${className}:`,
    pair(names.vendor(vendorId), names.device(vendorId, deviceId), vendorId, deviceId),
    ...(revision ? [`(rev ${hex(revision, 2)})`] : []),
    ...(programming || kind.interface
      ? [`(prog-if ${hex(programming, 2)}${kind.interface ? ` [${kind.interface}]` : ""})`]
      : []),
  ];
  const lines = [shown.join(" ")];
  if (subsystemVendorId && subsystemVendorId !== 0xffff)
    lines.push(`\tSubsystem: ${subsystem(decoded, decoded, names)}`);
  return lines;
}

function subsystem(
  of: Pick<DecodedFunction, "vendorId" | "deviceId">,
  { subsystemVendorId: vendor = 0, subsystemId: id = 0 }: SubsystemIds,
  names: PciNames,
): string {
  return pair(names.vendor(vendor), names.subsystem(of.vendorId, of.deviceId, vendor, id), vendor, id);
}

/** The decoded lines; a bridge's subsystem is looked up by name. */
function capabilityLines(
  capability: DecodedCapability,
  decoded: DecodedFunction,
  names: PciNames,
): readonly string[] {
  const ids = bridgeSubsystem([capability]);
  if (!ids) return capability.lines;
  return capability.lines.map((line) => line.replace(/Device .*/, () => subsystem(decoded, ids, names)));
}

function pair(vendorName: string | undefined, name: string | undefined, vendor: number, id: number): string {
  if (vendorName === undefined) return `Device ${hex(vendor, 4)}:${hex(id, 4)}`;
  return `${vendorName} ${name ?? `Device ${hex(id, 4)}`}`;
}

/** Only a bus master has a latency. */
function latency({
  registers,
  latencyTimer,
  minGrantNs,
  maxLatencyNs,
  cacheLineBytes,
}: DecodedFunction): string[] {
  if (!registers[0]?.fields.busMasterEnable) return [];
  const limits = [
    ...(minGrantNs ? [`${minGrantNs}ns min`] : []),
    ...(maxLatencyNs ? [`${maxLatencyNs}ns max`] : []),
  ];
  const inBrackets = limits.length > 0 ? ` (${limits.join(", ")})` : "";
  const line = cacheLineBytes ? `, Cache Line Size: ${cacheLineBytes} bytes` : "";
  return [`Latency: ${latencyTimer}${inBrackets}${line}`];
}

function address(text: string | null, digits: number): string {
  return text === null ? "<unassigned>" : text.slice(2).padStart(digits, "0");
}

function regionLine(region: DecodedRegion): string {
  const { index, space, type, prefetchable, enabled, sizeBytes } = region;
  const kind =
    space === "io"
      ? `I/O ports at ${address(region.address, 4)}`
      : `Memory at ${address(region.address, 8)} (${type}, ${prefetchable ? "" : "non-"}prefetchable)`;
  const state = region.virtual ? " [virtual]" : sign(enabled);
  return `Region ${index}: ${kind}${state}${sizeSuffix(sizeBytes)}`;
}

/** A ROM needs its own enable bit and the Command register's. */
function romState({ expansionRom, registers }: DecodedFunction): string {
  if (!expansionRom?.enabled) return " [disabled]";
  return registers[0]?.fields.memorySpaceEnable ? "" : " [disabled by cmd]";
}

function sizeSuffix(sizeBytes: number | bigint | undefined): string {
  if (!sizeBytes) return "";
  const units = ["", "K", "M", "G", "T"];
  let size = BigInt(sizeBytes);
  let unit = 0;
  while (size % 1024n === 0n && unit < units.length - 1) {
    size /= 1024n;
    unit++;
  }
  return ` [size=${size}${units[unit]}]`;
}

const WINDOW_NAMES = {
  io: "I/O behind bridge",
  memory: "Memory behind bridge",
  prefetchable: "Prefetchable memory behind bridge",
};

function windowLine({ kind, base, limit, addressBits, enabled }: DecodedWindow): string {
  const size = enabled ? sizeSuffix(BigInt(limit) - BigInt(base) + 1n) : " [disabled]";
  return `${WINDOW_NAMES[kind]}: ${base.slice(2)}-${limit.slice(2)}${size} [${addressBits}-bit]`;
}

/** Two memory windows, then two I/O windows. The Command register disables both of a kind. */
function cardBusWindows({ bridge, registers }: DecodedFunction): string[] {
  const { memorySpaceEnable, ioSpaceEnable } = registers[0]?.fields ?? {};
  return (bridge?.windows ?? []).map(({ kind, base, limit }, i) => {
    const isIo = kind === "io";
    const state = sign(Boolean(isIo ? ioSpaceEnable : memorySpaceEnable));
    const range = `${base.slice(2)}-${limit.slice(2)}${state}`;
    return `${isIo ? "I/O" : "Memory"} window ${i % 2}: ${range}${kind === "prefetchable" ? " (prefetchable)" : ""}`;
  });
}
