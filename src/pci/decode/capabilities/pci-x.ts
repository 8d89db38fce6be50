/** PCI-X Addendum 2.0, section 7.2, and AGP 3.0, section 6.3: the predecessors of PCI Express. */
import type { CapabilityLayout } from "./capability.ts";
import { choice, type FieldLayout, flag, hex, number, type RegisterLayout } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

const OUTSTANDING = [1, 2, 3, 4, 8, 12, 16, 32];
const CLOCKS = ["conv", "66MHz", "100MHz", "133MHz", "?4", "?5", "?6", "?7"];

const place = {
  busNumber: hex(8, 15, 2, "Dev={}"),
  deviceNumber: hex(3, 7, 2, ":{}"),
  functionNumber: number(0, 2, ".{}"),
  device64Bit: flag(16, "64bit"),
  capable133Mhz: flag(17, "133MHz"),
  splitCompletionDiscarded: flag(18, "SCD"),
  unexpectedSplitCompletion: flag(19, "USC"),
};

const endpoint: readonly RegisterLayout[] = [
  {
    name: "pcixCommand",
    offset: 2,
    sizeBytes: 2,
    label: "Command:",
    fields: {
      dataParityErrorRecoveryEnable: flag(0, "DPERE"),
      enableRelaxedOrdering: flag(1, "ERO"),
      maximumMemoryReadByteCount: number(2, 3, "RBC={}", (raw) => 512 << raw),
      maximumOutstandingSplitTransactions: number(4, 6, "OST={}", (raw) => OUTSTANDING[raw]!),
    },
  },
  {
    name: "pcixStatus",
    offset: 4,
    sizeBytes: 4,
    label: "Status:",
    fields: {
      ...place,
      deviceComplexity: choice(20, 20, "DC={}", ["simple", "bridge"]),
      designedMaximumMemoryReadByteCount: number(21, 22, "DMMRBC={}", (raw) => 512 << raw),
      designedMaximumOutstandingSplitTransactions: number(23, 25, "DMOST={}", (raw) => OUTSTANDING[raw]!),
      designedMaximumCumulativeReadSize: number(26, 28, "DMCRS={}", (raw) => 8 << raw),
      receivedSplitCompletionErrorMessage: flag(29, "RSCEM"),
      capable266Mhz: flag(30, "266MHz"),
      capable533Mhz: flag(31, "533MHz"),
    },
  },
];

const split = (name: string, offset: number, label: string): RegisterLayout => ({
  name,
  offset,
  sizeBytes: 4,
  label,
  fields: {
    splitTransactionCapacity: number(0, 15, "Capacity={}"),
    splitTransactionCommitmentLimit: number(16, 31, "CommitmentLimit={}"),
  },
});

const bridge: readonly RegisterLayout[] = [
  {
    name: "pcixSecondaryStatus",
    offset: 2,
    sizeBytes: 2,
    label: "Secondary Status:",
    fields: {
      device64Bit: flag(0, "64bit"),
      capable133Mhz: flag(1, "133MHz"),
      splitCompletionDiscarded: flag(2, "SCD"),
      unexpectedSplitCompletion: flag(3, "USC"),
      splitCompletionOverrun: flag(4, "SCO"),
      splitRequestDelayed: flag(5, "SRD"),
      secondaryClockFrequency: choice(6, 8, "Freq={}", CLOCKS),
    },
  },
  {
    name: "pcixBridgeStatus",
    offset: 4,
    sizeBytes: 4,
    label: "Status:",
    fields: {
      ...place,
      splitCompletionOverrun: flag(20, "SCO"),
      splitRequestDelayed: flag(21, "SRD"),
    },
  },
  split("upstreamSplitTransactionControl", 8, "Upstream:"),
  split("downstreamSplitTransactionControl", 12, "Downstream:"),
];

const isBridge = (scope: Scope) => scope.headerType === 1;

export const pciX: CapabilityLayout = {
  title: "PCI-X",
  heading: (scope) => ({
    name: "pcixKind",
    offset: 0,
    sizeBytes: 1,
    label: "",
    fields: {},
    lines: () => [isBridge(scope) ? "bridge device" : "non-bridge device"],
  }),
  registers: (scope) => (isBridge(scope) ? bridge : endpoint),
};

const agp3 = (scope: Scope) => scope.bits(0, 20, 23) >= 3 && scope.bits(4, 3) === 1;

/** Rates are x1, x2 and x4; in AGP 3 mode x4 and x8. */
function rate(): FieldLayout {
  const rates = (raw: number, scope: Scope) =>
    [0, 1, 2]
      .filter((bit) => raw & (1 << bit))
      .map((bit) => `x${1 << (bit + (agp3(scope) ? 2 : 0))}`)
      .join(",") || "<none>";
  return number(0, 2, "Rate={}", rates);
}

export const agp: CapabilityLayout = {
  title: "AGP",
  heading: {
    name: "agpVersion",
    offset: 2,
    sizeBytes: 1,
    label: "",
    fields: { majorRevision: hex(4, 7, 1, "version {}"), minorRevision: hex(0, 3, 1, ".{}") },
  },
  registers: [
    {
      name: "agpStatus",
      offset: 4,
      sizeBytes: 4,
      label: "Status:",
      fields: {
        requestQueueDepth: number(24, 31, "RQ={}", (raw) => raw + 1),
        isochronousSupport: flag(16, "Iso"),
        optimumAsynchronousRequestSize: number(13, 15, "ArqSz={}"),
        calibrationCycle: number(10, 12, "Cal={}"),
        sidebandAddressing: flag(9, "SBA"),
        insideApertureCoherence: flag(8, "ITACoh"),
        gart64Bit: flag(7, "GART64"),
        hostTranslation: flag(6, "HTrans"),
        address64Bit: flag(5, "64bit"),
        fastWrite: flag(4, "FW"),
        agp3Mode: flag(3, "AGP3"),
        rate: rate(),
      },
    },
    {
      name: "agpCommand",
      offset: 8,
      sizeBytes: 4,
      label: "Command:",
      fields: {
        requestQueueDepth: number(24, 31, "RQ={}", (raw) => raw + 1),
        asynchronousRequestSize: number(13, 15, "ArqSz={}"),
        calibrationCycle: number(10, 12, "Cal={}"),
        sidebandAddressingEnable: flag(9, "SBA"),
        agpEnable: flag(8, "AGP"),
        gart64BitEnable: flag(7, "GART64"),
        address64BitEnable: flag(5, "64bit"),
        fastWriteEnable: flag(4, "FW"),
        rate: rate(),
      },
    },
  ],
};
