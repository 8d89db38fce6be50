/** Root complex capabilities: PCIe 6.0, sections 7.9.8 (link declaration) and 7.9.10 (event collector). */
import type { CapabilityLayout } from "./capability.ts";
import { choice, flag, hex, type RegisterLayout } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

const LINKS_OFFSET = 16;
const LINK_BYTES = 16;

const byte = (value: number) => value.toString(16).padStart(2, "0");
const word = (value: number) => value.toString(16).padStart(8, "0");

/** Where a link leads: a configuration space, or a register block in memory. */
function target(scope: Scope, offset: number): string {
  const low = scope.read(offset, 4);
  const high = scope.read(offset + 4, 4);
  const whole = word(high) + word(low);
  if (scope.bits(offset - 8, 1) === 0) return whole;
  // Bits 2:0 give the number of bus number bits, from bit 20 on; 0 means all 8.
  const bus = scope.bits(offset, 20, 20 + (low & 7 || 8) - 1);
  return `${byte(bus)}:${byte(scope.bits(offset, 15, 19))}.${scope.bits(offset, 12, 14)} CfgSpace=${whole}`;
}

function linkEntry(index: number): RegisterLayout[] {
  const offset = LINKS_OFFSET + index * LINK_BYTES;
  return [
    {
      name: `link${index}Description`,
      offset,
      sizeBytes: 4,
      label: `Link${index}:\tDesc:`,
      when: (scope) => scope.has(offset, LINK_BYTES),
      fields: {
        targetPortNumber: hex(24, 31, 2, "TargetPort={}"),
        targetComponentId: hex(16, 23, 2, "TargetComponent={}"),
        associateRcrbHeader: flag(2, "AssocRCRB"),
        linkType: choice(1, 1, "LinkType={}", ["MemMapped", "Config"]),
        linkValid: flag(0, "LinkValid"),
      },
    },
    {
      name: `link${index}Address`,
      offset: offset + 8,
      sizeBytes: 8,
      label: "\tAddr:",
      fields: { target: { bits: [0, 0], text: "{}", value: (_, scope) => target(scope, offset + 8) } },
    },
  ];
}

export const rootComplexLink: CapabilityLayout = {
  title: "Root Complex Link",
  registers: (scope) => [
    {
      name: "elementSelfDescription",
      offset: 4,
      sizeBytes: 4,
      label: "Desc:",
      fields: {
        portNumber: hex(24, 31, 2, "PortNumber={}"),
        componentId: hex(16, 23, 2, "ComponentID={}"),
        elementType: choice(0, 7, "EltType={}", ["Config", "Egress", "Internal"]),
      },
    },
    ...Array.from({ length: scope.bits(4, 8, 15) }, (_, i) => linkEntry(i)).flat(),
  ],
};

/** "1, 4-6" for bits 1, 4, 5 and 6. */
function runs(bitmap: number): string {
  const spans: string[] = [];
  for (let first = 0; first < 32; first++) {
    if (((bitmap >>> first) & 1) === 0) continue;
    let last = first;
    while (last < 31 && (bitmap >>> (last + 1)) & 1) last++;
    spans.push(last === first ? String(first) : `${first}-${last}`);
    first = last;
  }
  return spans.join(", ");
}

export const eventCollector: CapabilityLayout = {
  title: "Root Complex Event Collector Endpoint Association",
  registers: [
    {
      name: "associationBitmap",
      offset: 4,
      sizeBytes: 4,
      label: "RCiEPBitmap:",
      fields: {
        devices: {
          ...hex(0, 31, 8, "{}"),
          value: (raw) => (raw === 0n ? "00000000 [none]" : `RCiEP at Device(s): ${runs(Number(raw))}`),
        },
      },
    },
    {
      name: "associatedBusNumbers",
      offset: 8,
      sizeBytes: 4,
      label: "AssociatedBusNumbers:",
      when: (scope) => scope.bits(0, 16, 19) >= 2,
      fields: {
        nextBus: hex(8, 15, 2, "{}"),
        lastBus: {
          ...hex(16, 23, 2, ""),
          // This pair means no bus.
          text: (scope) => (scope.bits(8, 8, 23) === 0x00ff ? "-{} [none]" : "-{}"),
        },
      },
    },
  ],
};
