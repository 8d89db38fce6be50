/** Integrity and Data Encryption: PCIe 6.0, section 7.9.26. */
import type { CapabilityLayout } from "./capability.ts";
import { choice, type FieldLayout, flag, hex, number, type RegisterLayout } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

const FIRST_STREAM = 0x0c;
const LINK_STREAM_BYTES = 8;
/** Capability, control, status and two routing ID registers; address ranges follow. */
const SELECTIVE_STREAM_BYTES = 20;
const ADDRESS_RANGE_BYTES = 12;

const linkStreams = (scope: Scope) => (scope.bits(4, 0) ? scope.bits(4, 13, 15) + 1 : 0);
const selectiveStreams = (scope: Scope) => (scope.bits(4, 1) ? scope.bits(4, 16, 23) + 1 : 0);

const algorithm = (low: number) =>
  choice(low, low + 4, "Alg='{}'", ["AES-GCM-256-96b"], undefined, () => "reserved");
const headerEncryption = choice(10, 13, "HdrEnc={}", ["no", "17:2", "25:2", "33:2", "41:2"]);
const streamStatus = (text: string) => choice(0, 3, text, ["insecure", "reserved", "secure"]);

/** How many TLPs share a MAC; - if each has its own. */
function aggregation(offset: number, low: number, name: string): FieldLayout {
  const text = (scope: Scope) => {
    const code = scope.bits(offset, low, low + 1);
    return `${name}${code ? `=${2 ** code}` : "-"}`;
  };
  return { ...number(low, low + 1, "", (raw) => 2 ** raw), text };
}

const transmitAggregation = (offset: number) => ({
  txAggregationModeNpr: aggregation(offset, 2, "NPR"),
  txAggregationModePr: aggregation(offset, 4, "PR"),
  txAggregationModeCpl: aggregation(offset, 6, "CPL"),
});

const capability: RegisterLayout = {
  name: "ideCapability",
  offset: 4,
  sizeBytes: 4,
  label: "IDECap:",
  fields: {
    linkIdeStreams: number(0, 0, "Lnk={}", (_, scope) => linkStreams(scope)),
    selectiveIdeStreams: number(1, 1, "Sel={}", (_, scope) => selectiveStreams(scope)),
    flowThroughIdeStreamSupported: flag(2, "FlowThru"),
    partialHeaderEncryptionSupported: flag(3, "PartHdr"),
    aggregationSupported: flag(4, "Aggr"),
    pcrcSupported: flag(5, "PCPC"),
    ideKmProtocolSupported: flag(6, "IDE_KM"),
    selectiveIdeForConfigurationRequestsSupported: flag(7, "SelCfg"),
    supportedAlgorithms: algorithm(8),
    tcsSupportedForLinkIde: number(13, 15, "TCs={}", (raw) => raw + 1),
    teeLimitedStreamSupported: flag(24, "TeeLim"),
    xtSupported: flag(25, "XT"),
  },
};

const control: RegisterLayout = {
  name: "ideControl",
  offset: 8,
  sizeBytes: 4,
  label: "IDECtl:",
  fields: { flowThroughIdeStreamEnabled: flag(2, "FTEn") },
};

/** Labels of a stream's registers, each with its offset in configuration space. */
const labels = (scope: Scope, stream: string) => (offset: number, what: string) =>
  `[${(scope.base + offset).toString(16)}]${stream} ${what}:`;

function linkStream(scope: Scope, i: number, offset: number): RegisterLayout[] {
  const label = labels(scope, `LinkIDE#${i}`);
  return [
    {
      name: `linkIdeStream${i}Control`,
      offset,
      sizeBytes: 4,
      label: label(offset, "Ctl"),
      fields: {
        linkIdeStreamEnable: flag(0, "En"),
        xtEnable: flag(1, "XT"),
        ...transmitAggregation(offset),
        pcrcEnable: flag(8, "PCRC"),
        partialHeaderEncryptionMode: headerEncryption,
        selectedAlgorithm: algorithm(14),
        trafficClass: number(19, 21, "TC{}"),
        streamId: number(24, 31, "ID{}"),
      },
    },
    {
      name: `linkIdeStream${i}Status`,
      offset: offset + 4,
      sizeBytes: 4,
      label: label(offset + 4, "Sta"),
      fields: {
        linkIdeStreamState: streamStatus("Status={}"),
        receivedIntegrityCheckFailMessage: flag(31, "RecvChkFail"),
      },
    },
  ];
}

function selectiveStream(scope: Scope, i: number, offset: number): RegisterLayout[] {
  const stream = `SelectiveIDE#${i}`;
  const label = labels(scope, stream);
  const name = `selectiveIdeStream${i}`;
  const ranges = Array.from({ length: scope.bits(offset, 0, 3) }, (_, j) =>
    addressRange(
      scope,
      `${name}Address${j}`,
      `${stream} RID#${j}`,
      offset + SELECTIVE_STREAM_BYTES + j * ADDRESS_RANGE_BYTES,
    ),
  );
  return [
    {
      name: `${name}Capability`,
      offset,
      sizeBytes: 4,
      label: label(offset, "Cap"),
      fields: { addressAssociationRegisterBlocks: number(0, 3, "RID#={}") },
    },
    {
      name: `${name}Control`,
      offset: offset + 4,
      sizeBytes: 4,
      label: label(offset + 4, "Ctl"),
      fields: {
        selectiveIdeStreamEnable: flag(0, "En"),
        xtEnable: flag(1, "XT"),
        ...transmitAggregation(offset + 4),
        pcrcEnable: flag(8, "PCRC"),
        selectiveIdeForConfigurationRequestsEnable: flag(9, "CFG"),
        partialHeaderEncryptionMode: headerEncryption,
        selectedAlgorithm: algorithm(14),
        trafficClass: number(19, 21, "TC{}"),
        teeLimitedStream: flag(23, "TeeLim"),
        streamId: number(24, 31, "ID{}"),
        defaultStream: { ...flag(22, ""), text: "Default", quiet: true },
      },
    },
    {
      name: `${name}Status`,
      offset: offset + 8,
      sizeBytes: 4,
      label: label(offset + 8, "Sta"),
      fields: {
        selectiveIdeStreamState: streamStatus("{}"),
        receivedIntegrityCheckFailMessage: flag(31, "RecvChkFail"),
      },
    },
    {
      name: `${name}Rid`,
      offset: offset + 12,
      sizeBytes: 8,
      label: label(offset + 12, "RID"),
      fields: {
        valid: flag(32, "Valid"),
        ridBase: hex(40, 55, 1, "Base={}"),
        ridLimit: hex(8, 23, 1, "Limit={}"),
        segmentBase: hex(56, 63, 1, "SegBase={}"),
      },
    },
    ...ranges,
  ];
}

/** Lower halves in the first register, then the limit's upper half, then the base's. */
function addressRange(scope: Scope, name: string, stream: string, offset: number): RegisterLayout {
  const address = (upper: number, lower: number, rest: bigint): FieldLayout["value"] => {
    return (_, scope) => {
      const high = BigInt(scope.read(offset + upper, 4)) << 32n;
      return `0x${(high | BigInt(scope.bits(offset, lower, lower + 11) * 2 ** 20) | rest).toString(16)}`;
    };
  };
  return {
    name,
    offset,
    sizeBytes: 4,
    label: `[${(scope.base + offset).toString(16)}]${stream}:`,
    when: (scope) => scope.has(offset, ADDRESS_RANGE_BYTES),
    fields: {
      valid: flag(0, "Valid"),
      memoryBase: { bits: [8, 19], text: "Base={}", value: address(8, 8, 0n) },
      memoryLimit: { bits: [20, 31], text: "Limit={}", value: address(4, 20, 0xf_ffffn) },
    },
  };
}

/** As many streams as the capability declares and the available bytes hold. */
function streams(scope: Scope): RegisterLayout[] {
  const registers: RegisterLayout[] = [];
  let offset = FIRST_STREAM;
  for (let i = 0; i < linkStreams(scope); i++, offset += LINK_STREAM_BYTES)
    registers.push(...linkStream(scope, i, offset));
  for (let i = 0; i < selectiveStreams(scope) && scope.has(offset, SELECTIVE_STREAM_BYTES); i++) {
    registers.push(...selectiveStream(scope, i, offset));
    offset += SELECTIVE_STREAM_BYTES + scope.bits(offset, 0, 3) * ADDRESS_RANGE_BYTES;
  }
  return registers;
}

export const integrityAndEncryption: CapabilityLayout = {
  title: "Integrity & Data Encryption",
  name: "Integrity and Data Encryption",
  registers: (scope) => [capability, control, ...streams(scope)],
};
