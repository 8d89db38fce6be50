/** Virtual Channel: PCIe 6.0, section 7.9.1. A port's registers, and three more for each channel. */
import type { CapabilityLayout } from "./capability.ts";
import { choice, flag, hex, number, type RegisterLayout, rareFlag } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

const PORT_ARBITRATION = ["Fixed", "WRR32", "WRR64", "WRR128", "??4", "??5", "??6", "??7"];
const CHANNEL_ARBITRATION = ["Fixed", "WRR32", "WRR64", "WRR128", "TWRR128", "WRR256", "??6", "??7"];

/** One flag per arbitration scheme; those without a name are shown only if set. */
function arbitration(names: readonly string[]): RegisterLayout["fields"] {
  const fields = names.map((name, bit) => {
    const known = !name.startsWith("?");
    return [
      known ? `arbitration${name}` : `arbitration${bit}`,
      known ? flag(bit, name) : rareFlag(bit, name),
    ];
  });
  return Object.fromEntries(fields);
}

const port: readonly RegisterLayout[] = [
  {
    name: "portVcCapability1",
    offset: 4,
    sizeBytes: 4,
    label: "Caps:",
    fields: {
      extendedVcCount: number(0, 2, ""),
      lowPriorityExtendedVcCount: number(4, 6, "LPEVC={}"),
      referenceClock: choice(8, 9, "RefClk={}", ["100ns"]),
      portArbitrationTableEntryBits: number(10, 11, "PATEntryBits={}", (raw) => 1 << raw),
    },
  },
  {
    name: "portVcCapability2",
    offset: 8,
    sizeBytes: 4,
    label: "Arb:",
    fields: arbitration(PORT_ARBITRATION),
  },
  {
    name: "portVcControl",
    offset: 12,
    sizeBytes: 2,
    label: "Ctrl:",
    fields: { vcArbitrationSelect: choice(1, 3, "ArbSelect={}", PORT_ARBITRATION) },
  },
  {
    name: "portVcStatus",
    offset: 14,
    sizeBytes: 2,
    label: "Status:",
    fields: { vcArbitrationTableStatus: flag(0, "InProgress") },
  },
  {
    name: "vcArbitrationTableOffset",
    offset: 11,
    sizeBytes: 1,
    label: "Port Arbitration Table",
    when: (scope) => scope.read(11, 1) !== 0,
    fields: { offset: { ...hex(0, 7, 1, "[{}] <?>"), value: (raw, scope) => scope.base + 16 * Number(raw) } },
  },
];

function channel(index: number): RegisterLayout[] {
  const offset = 0x10 + 12 * index;
  const when = (scope: Scope) => scope.has(offset, 12);
  return [
    {
      name: `vc${index}ResourceCapability`,
      offset,
      sizeBytes: 4,
      label: `VC${index}:\tCaps:`,
      when,
      fields: {
        portArbitrationTableOffset: hex(24, 31, 2, "PATOffset={}"),
        maximumTimeSlots: number(16, 22, "MaxTimeSlots={}", (raw) => raw + 1),
        rejectSnoopTransactions: flag(15, "RejSnoopTrans"),
      },
    },
    {
      name: `vc${index}Arbitration`,
      offset,
      sizeBytes: 1,
      label: "\tArb:",
      when,
      fields: arbitration(CHANNEL_ARBITRATION),
    },
    {
      name: `vc${index}ResourceControl`,
      offset: offset + 4,
      sizeBytes: 4,
      label: "\tCtrl:",
      when,
      fields: {
        vcEnable: flag(31, "Enable"),
        vcId: number(24, 26, "ID={}"),
        portArbitrationSelect: choice(17, 19, "ArbSelect={}", CHANNEL_ARBITRATION),
        tcVcMap: hex(0, 7, 2, "TC/VC={}"),
      },
    },
    {
      name: `vc${index}ResourceStatus`,
      offset: offset + 10,
      sizeBytes: 2,
      label: "\tStatus:",
      when,
      fields: {
        vcNegotiationPending: flag(1, "NegoPending"),
        portArbitrationTableStatus: flag(0, "InProgress"),
      },
    },
    {
      name: `vc${index}PortArbitrationTable`,
      offset: offset + 3,
      sizeBytes: 1,
      label: "\tPort Arbitration Table <?>",
      when: (scope) => when(scope) && scope.read(offset + 3, 1) !== 0,
      fields: { offset: hex(0, 7, 2, "") },
    },
  ];
}

export const virtualChannel: CapabilityLayout = {
  title: "Virtual Channel",
  registers: (scope: Scope) => [
    ...port,
    ...Array.from({ length: scope.bits(4, 0, 2) + 1 }, (_, i) => channel(i)).flat(),
  ],
};
