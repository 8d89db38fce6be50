/** Extended capabilities about addresses, transactions and power: PCIe 6.0, sections 7.8.1, 7.8.6, 7.9.11 to 7.9.13. */
import type { CapabilityLayout } from "./capability.ts";
import { onPorts, PortType } from "./port-type.ts";
import { choice, flag, hex, number, type RegisterLayout, wide } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

/** 2^exponent MB, in the widest unit. */
function size(exponent: number): string {
  const units = ["MB", "GB", "TB", "PB", "EB"];
  const unit = units[Math.floor(exponent / 10)];
  return exponent < 44 && unit ? `${2 ** (exponent % 10)}${unit}` : "<unknown>";
}

const MAX_BARS = 6;

/** Section 7.8.6: a capability and a control register for each BAR that can change its size. */
function resizableBars(scope: Scope): RegisterLayout[] {
  const count = scope.bits(8, 5, 7);
  if (count < 1 || count > MAX_BARS) {
    const line = `<error in resizable BAR: num_bars=${count} is out of specification>`;
    return [{ name: "control0", offset: 8, sizeBytes: 4, label: "", fields: {}, lines: () => [line] }];
  }
  return Array.from({ length: count }, (_, i): RegisterLayout => {
    const offset = 4 + 8 * i;
    const exponents = () => [
      ...Array.from({ length: 28 }, (_, bit) => bit).filter((bit) => scope.bits(offset, 4 + bit)),
      ...Array.from({ length: 16 }, (_, bit) => bit + 28).filter((bit) => scope.bits(offset + 4, bit - 12)),
    ];
    return {
      name: `bar${i}`,
      offset,
      sizeBytes: 8,
      label: "BAR",
      fields: {
        barIndex: number(32, 34, "{}:"),
        currentSize: number(40, 45, "current size: {}", size),
        supportedSizes: {
          bits: [0, 63],
          text: (scope) =>
            scope.bits(offset, 4, 31) || scope.bits(offset + 4, 16, 31) ? ", supported: {}" : "",
          value: () => exponents().map(size).join(" "),
        },
      },
    };
  });
}

export const resizableBar: CapabilityLayout = { title: "Physical Resizable BAR", registers: resizableBars };
export const vfResizableBar: CapabilityLayout = { title: "Virtual Resizable BAR", registers: resizableBars };

/** Section 7.9.13. */
export const processingHints: CapabilityLayout = {
  title: "Transaction Processing Hints",
  registers: [
    {
      name: "tphRequesterCapability",
      offset: 4,
      sizeBytes: 4,
      label: "",
      fields: {
        interruptVectorModeSupported: flag(1, ""),
        deviceSpecificModeSupported: flag(2, ""),
        extendedTphRequesterSupported: flag(8, ""),
        stTableLocation: choice(9, 10, "", [
          "No steering table available",
          "Steering table in TPH capability structure",
          "Steering table in MSI-X table",
          "Reserved steering table location",
        ]),
        stTableSize: number(16, 26, "", (raw) => raw + 1),
      },
      lines: (fields) => [
        ...(fields.interruptVectorModeSupported ? ["Interrupt vector mode supported"] : []),
        ...(fields.deviceSpecificModeSupported ? ["Device specific mode supported"] : []),
        ...(fields.extendedTphRequesterSupported ? ["Extended requester support"] : []),
        String(fields.stTableLocation),
      ],
    },
    {
      name: "tphRequesterControl",
      offset: 8,
      sizeBytes: 4,
      label: "",
      fields: { stModeSelect: number(0, 2, ""), tphRequesterEnable: number(8, 9, "") },
    },
  ],
};

const isEndpoint = onPorts(PortType.ENDPOINT, PortType.ROOT_COMPLEX_ENDPOINT);
const isPort = onPorts(PortType.ROOT_PORT, PortType.UPSTREAM, PortType.DOWNSTREAM);

const groups = (name: string, offset: number, label: string): RegisterLayout => ({
  name,
  offset,
  sizeBytes: 8,
  label,
  fields: { groups: wide(0, 63, "{}") },
});

/** Section 7.9.11. */
export const multicast: CapabilityLayout = {
  title: "Multicast",
  registers: [
    {
      name: "multicastCapability",
      offset: 4,
      sizeBytes: 2,
      label: "McastCap:",
      fields: {
        maxGroups: number(0, 5, "MaxGroups {}", (raw) => raw + 1),
        windowSizeRequested: number(8, 13, ", WindowSz {}", undefined, isEndpoint),
        windowBytesRequested: number(8, 13, "({} bytes)", (raw) => 2 ** raw, isEndpoint),
        ecrcRegenerationSupported: flag(15, ", ECRCRegen", isPort),
      },
    },
    {
      name: "multicastControl",
      offset: 6,
      sizeBytes: 2,
      label: "McastCtl:",
      fields: {
        numGroups: number(0, 5, "NumGroups {}", (raw) => raw + 1),
        enable: flag(15, ", Enable"),
      },
    },
    {
      name: "multicastBaseAddress",
      offset: 8,
      sizeBytes: 8,
      label: "McastBAR:",
      fields: { indexPosition: number(0, 5, "IndexPos {}"), baseAddress: wide(12, 63, ", BaseAddr {}") },
    },
    groups("multicastReceive", 0x10, "McastReceiveVec:"),
    groups("multicastBlockAll", 0x18, "McastBlockAllVec:"),
    groups("multicastBlockUntranslated", 0x20, "McastBlockUntransVec:"),
    {
      name: "multicastOverlayBar",
      offset: 0x28,
      sizeBytes: 8,
      label: "McastOverlayBAR:",
      when: (scope) => !isEndpoint(scope),
      fields: {
        overlaySize: number(0, 5, "OverlaySize {}"),
        overlayBytes: number(0, 5, "({})", (raw) => (raw >= 6 ? `${2 ** raw} bytes` : "disabled")),
        overlayBaseAddress: wide(6, 63, ", BaseAddr {}"),
      },
    },
  ],
};

const SCALES = [1, 0.1, 0.01, 0.001];

/**
 * Section 7.8.1. Shows only the entry that the select register points to; selecting others requires writes.
 */
export const powerBudgeting: CapabilityLayout = {
  title: "Power Budgeting",
  registers: [
    {
      name: "powerBudgetingData",
      offset: 8,
      sizeBytes: 4,
      label: "PwrData:",
      fields: {
        basePower: number(0, 7, "Base={}"),
        dataScale: number(8, 9, "Scale={}", (raw) => SCALES[raw]!),
        pmSubState: number(10, 12, "PMSub={}"),
        pmState: choice(13, 14, "PM={}", ["D0", "D1", "D2", "D3"]),
        type: choice(
          15,
          17,
          "Type={}",
          ["PME Aux", "Auxiliary", "Idle", "Sustained", "SustainedEPR", "MaximumEPR"],
          undefined,
          (raw) => (raw === 7 ? "Maximum" : `??${raw}`),
        ),
        powerRail: choice(18, 20, "Rail={}", ["12V", "3.3V", "1.5V/1.8V"], undefined, (raw) =>
          raw === 7 ? "Thermal" : `??${raw}`,
        ),
      },
    },
    {
      name: "powerBudgetCapability",
      offset: 12,
      sizeBytes: 1,
      label: "PwrCap:",
      fields: { systemAllocated: flag(0, "SystemAllocated") },
    },
  ],
};

/** Section 7.9.12. */
export const dynamicPower: CapabilityLayout = {
  title: "Dynamic Power Allocation",
  registers: [
    {
      name: "dpaCapability",
      offset: 4,
      sizeBytes: 4,
      label: "DpaCap:",
      fields: {
        substateMax: number(0, 4, "SubstateMax={}"),
        transitionLatencyUnitMs: number(8, 9, "TransLatUnit={}ms", (raw) => 10 ** raw),
        powerAllocationScale: number(12, 13, "PwrAllocScale={}", (raw) => [10, 1, 0.1, 0.01][raw]!),
        transitionLatencyValue0: number(16, 23, "TransLat0={}"),
        transitionLatencyValue1: number(24, 31, "TransLat1={}"),
      },
    },
    {
      name: "dpaStatus",
      offset: 12,
      sizeBytes: 2,
      label: "DpaSta:",
      fields: { substateStatus: number(0, 4, "Substate={}"), substateControlEnabled: flag(8, "CtlEnabled") },
    },
    {
      name: "dpaControl",
      offset: 14,
      sizeBytes: 2,
      label: "DpaCtl:",
      fields: { substateControl: number(0, 4, "Substate={}") },
    },
  ],
};

/** Section 7.9.16. */
export const readinessTime: CapabilityLayout = {
  title: "Readiness Time Reporting",
  registers: [
    {
      name: "readinessTimeReporting1",
      offset: 4,
      sizeBytes: 4,
      label: "RTR1:",
      fields: {
        resetTime: hex(0, 11, 3, "Reset={}"),
        dlUpTime: hex(12, 23, 3, "DLUp={}"),
        valid: flag(31, "Valid"),
      },
    },
    {
      name: "readinessTimeReporting2",
      offset: 8,
      sizeBytes: 4,
      label: "RTR2:",
      fields: { flrTime: hex(0, 11, 3, "FLR={}"), d3hotToD0Time: hex(12, 23, 3, "D3hotToD0={}") },
    },
  ],
};
