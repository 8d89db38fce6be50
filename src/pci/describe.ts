/** A function in words: the form that people know from `lspci -vvv`. */
import type { DecodedFunction } from "./decode.ts";
import type { DecodedRegion, DecodedWindow } from "./header.ts";
import { decodeHeaderRegisters } from "./header.ts";
import type { PciNames } from "./names.ts";

/** What the platform knows of a function, beyond its configuration space. */
export interface Surroundings {
  /** 0000:00:09.0, or however the function is called. */
  readonly address?: string;
  /** Where INTx goes; the header's interrupt line, where absent. */
  readonly irq?: number;
  readonly numaNode?: number;
  readonly iommuGroup?: string;
  readonly driver?: string;
}

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
const sign = (on: boolean) => (on ? "" : " [disabled]");

/** The text, with a newline between lines and none at its end. */
export function describe(
  decoded: DecodedFunction,
  bytes: Uint8Array,
  names: PciNames,
  around: Surroundings = {},
): string {
  const { numaNode, iommuGroup, driver } = around;
  const [control, status, secondary, bridgeControl] = decodeHeaderRegisters(bytes).map(({ lines }) => lines);
  const irq = around.irq ?? decoded.interruptLine;
  const { bist, bridge, expansionRom: rom } = decoded;
  const lines = [
    ...(decoded.headerType > 2 ? [`!!! Unknown header type ${hex(decoded.headerType, 2)}`] : []),
    ...control!,
    ...status!,
    ...latency(decoded),
    ...(decoded.interruptPin || irq ? [`Interrupt: pin ${decoded.interruptPin ?? "?"} routed to IRQ ${irq}`] : []),
    ...(numaNode === undefined ? [] : [`NUMA node: ${numaNode}`]),
    ...(iommuGroup === undefined ? [] : [`IOMMU group: ${iommuGroup}`]),
    ...(bist ? [bist.running ? "BIST is running" : `BIST result: ${hex(bist.code, 2)}`] : []),
    ...decoded.regions.map(regionLine),
    ...(bridge
      ? [
          `Bus: primary=${hex(bridge.primaryBus, 2)}, secondary=${hex(bridge.secondaryBus, 2)}, subordinate=${hex(bridge.subordinateBus, 2)}, sec-latency=${bridge.secondaryLatencyTimer}`,
          ...bridge.windows.map(windowLine),
          ...secondary!,
        ]
      : []),
    ...(rom
      ? [`Expansion ROM at ${address(rom.address, 8)}${sign(rom.enabled)}${sizeSuffix(rom.sizeBytes)}`]
      : []),
    ...(bridge ? bridgeControl!.map((line, i) => (i > 0 ? `\t${line}` : line)) : []),
    ...decoded.capabilities.flatMap(({ lines }) => lines),
    ...(driver === undefined ? [] : [`Kernel driver in use: ${driver}`]),
  ];
  return [...title(decoded, names, around.address), ...lines.map((line) => `\t${line}`)].join("\n");
}

function title(decoded: DecodedFunction, names: PciNames, address?: string): string[] {
  const { vendorId, deviceId, classCode, revision, subsystemVendorId, subsystemId } = decoded;
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
  if (subsystemVendorId && subsystemVendorId !== 0xffff && subsystemId !== undefined) {
    const board = names.subsystem(vendorId, deviceId, subsystemVendorId, subsystemId);
    lines.push(
      `\tSubsystem: ${pair(names.vendor(subsystemVendorId), board, subsystemVendorId, subsystemId)}`,
    );
  }
  return lines;
}

function pair(vendorName: string | undefined, name: string | undefined, vendor: number, id: number): string {
  if (vendorName === undefined) return `Device ${hex(vendor, 4)}:${hex(id, 4)}`;
  return `${vendorName} ${name ?? `Device ${hex(id, 4)}`}`;
}

/** Only a bus master has a latency to speak of. */
function latency({ registers, latencyTimer, minGrantNs, maxLatencyNs, cacheLineBytes }: DecodedFunction): string[] {
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

function sizeSuffix(sizeBytes: number | undefined): string {
  if (!sizeBytes) return "";
  const units = ["", "K", "M", "G", "T"];
  let size = sizeBytes;
  let unit = 0;
  while (size % 1024 === 0 && unit < units.length - 1) {
    size /= 1024;
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
  const size = enabled ? sizeSuffix(Number(BigInt(limit) - BigInt(base) + 1n)) : " [disabled]";
  return `${WINDOW_NAMES[kind]}: ${base.slice(2)}-${limit.slice(2)}${size} [${addressBits}-bit]`;
}
