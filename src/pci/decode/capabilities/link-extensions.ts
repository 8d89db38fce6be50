/** Extended capabilities of the link and its power: PCIe 6.0, sections 7.7.3 to 7.7.10, 7.8.2, 7.8.3 and 7.9.15. */
import type { CapabilityLayout } from "./capability.ts";
import { type Condition, choice, flag, hex, number, type RegisterLayout } from "./register-layout.ts";

/** The scale is a power of 32 ns; 6 and 7 are not permitted. */
const LATENCY_SCALES = 6;
function latencyNs(value: number, scale: number): number | string {
  return scale < LATENCY_SCALES ? value * 32 ** scale : "<error>";
}

/** Section 7.8.2. */
function latency(name: string, offset: number, label: string): RegisterLayout {
  return {
    name,
    offset,
    sizeBytes: 2,
    label,
    fields: {
      latencyNs: number(0, 12, "{}ns", (raw) => latencyNs(raw & 0x3ff, raw >>> 10)),
    },
  };
}

export const latencyTolerance: CapabilityLayout = {
  title: "Latency Tolerance Reporting",
  registers: [
    latency("maxSnoopLatency", 4, "Max snoop latency:"),
    latency("maxNoSnoopLatency", 6, "Max no snoop latency:"),
  ],
};

/** Section 7.7.3. */
export const secondaryExpress: CapabilityLayout = {
  title: "Secondary PCI Express",
  registers: [
    {
      name: "linkControl3",
      offset: 4,
      sizeBytes: 4,
      label: "LnkCtl3:",
      fields: {
        linkEqualizationRequestInterruptEnable: flag(1, "LnkEquIntrruptEn"),
        performEqualization: flag(0, "PerformEqu"),
        enableLowerSkpOsGenerationVector: hex(9, 15, 2, ""),
      },
    },
    {
      name: "laneErrorStatus",
      offset: 8,
      sizeBytes: 4,
      label: "LaneErrStat:",
      fields: {
        lanes: {
          ...number(0, 15, "{}", (raw) => {
            const lanes = Array.from({ length: 16 }, (_, lane) => lane).filter((lane) => raw & (1 << lane));
            return lanes.length === 0 ? "0" : `LaneErr at lane: ${lanes.join(" ")}`;
          }),
        },
      },
    },
  ],
};

/** T_POWER_ON: units of 2, 10 and 100 us. */
const POWER_ON_UNITS_US = [2, 10, 100];
const powerOnUs = (value: number, scale: number) =>
  POWER_ON_UNITS_US[scale] === undefined ? "<error>" : value * POWER_ON_UNITS_US[scale];
const supportsL12: Condition = (scope) => scope.bits(4, 0) === 1 || scope.bits(4, 2) === 1;

/** Section 7.8.3. */
export const l1PmSubstates: CapabilityLayout = {
  title: "L1 PM Substates",
  registers: [
    {
      name: "l1PmSubstatesCapabilities",
      offset: 4,
      sizeBytes: 4,
      label: "L1SubCap:",
      fields: {
        pciPmL12Supported: flag(0, "PCI-PM_L1.2"),
        pciPmL11Supported: flag(1, "PCI-PM_L1.1"),
        aspmL12Supported: flag(2, "ASPM_L1.2"),
        aspmL11Supported: flag(3, "ASPM_L1.1"),
        l1PmSubstatesSupported: flag(4, "L1_PM_Substates"),
        portCommonModeRestoreTimeUs: number(
          8,
          15,
          "\n  PortCommonModeRestoreTime={}us",
          undefined,
          supportsL12,
        ),
        portTPowerOnTimeUs: number(
          16,
          23,
          "PortTPowerOnTime={}us",
          (raw) => powerOnUs(raw >>> 3, raw & 3),
          supportsL12,
        ),
      },
    },
    {
      name: "l1PmSubstatesControl1",
      offset: 8,
      sizeBytes: 4,
      label: "L1SubCtl1:",
      fields: {
        pciPmL12Enable: flag(0, "PCI-PM_L1.2"),
        pciPmL11Enable: flag(1, "PCI-PM_L1.1"),
        aspmL12Enable: flag(2, "ASPM_L1.2"),
        aspmL11Enable: flag(3, "ASPM_L1.1"),
        commonModeRestoreTimeUs: number(8, 15, "\n   T_CommonMode={}us", undefined, supportsL12),
        ltrL12ThresholdNs: number(
          16,
          31,
          "LTR1.2_Threshold={}ns",
          (raw) => latencyNs(raw & 0x3ff, raw >>> 13),
          (scope) => scope.bits(4, 2) === 1,
        ),
      },
    },
    {
      name: "l1PmSubstatesControl2",
      offset: 12,
      sizeBytes: 4,
      label: "L1SubCtl2:",
      fields: {
        tPowerOnTimeUs: number(0, 7, "T_PwrOn={}us", (raw) => powerOnUs(raw >>> 3, raw & 3), supportsL12),
      },
    },
  ],
};

const granularity = (none: string) => (raw: number) => {
  if (raw === 0) return none;
  return raw === 0xff ? "Greater than 254ns" : `${raw}ns`;
};

/** Section 7.9.15. */
export const precisionTime: CapabilityLayout = {
  title: "Precision Time Measurement",
  registers: [
    {
      name: "ptmCapability",
      offset: 4,
      sizeBytes: 4,
      label: "PTMCap:",
      fields: {
        ptmRequesterCapable: flag(0, "Requester"),
        ptmResponderCapable: flag(1, "Responder"),
        ptmRootCapable: flag(2, "Root"),
        localClockGranularity: number(8, 15, "\nPTMClockGranularity: {}", granularity("Unimplemented")),
      },
    },
    {
      name: "ptmControl",
      offset: 8,
      sizeBytes: 4,
      label: "PTMControl:",
      fields: {
        ptmEnable: flag(0, "Enabled"),
        rootSelect: flag(1, "RootSelected"),
        effectiveGranularity: number(8, 15, "\nPTMEffectiveGranularity: {}", granularity("Unknown")),
      },
    },
  ],
};

/** Section 7.7.4. */
export const dataLinkFeature: CapabilityLayout = {
  title: "Data Link Feature",
  registers: [
    {
      name: "dataLinkFeatureCapabilities",
      offset: 4,
      sizeBytes: 4,
      label: "DLFCap:",
      fields: {
        localDataLinkFeatureSupported: hex(0, 22, 6, "LocalFeatures={}"),
        localScaledFlowControlSupported: flag(0, "LocalScaledFC"),
        dataLinkFeatureExchangeEnable: flag(31, "ExchangeEn"),
      },
    },
    {
      name: "dataLinkFeatureStatus",
      offset: 8,
      sizeBytes: 4,
      label: "DLFSta:",
      fields: {
        remoteDataLinkFeatureSupported: hex(0, 22, 6, "RemoteFeatures={}"),
        remoteScaledFlowControlSupported: flag(0, "RemoteScaledFC"),
        remoteDataLinkFeatureSupportedValid: flag(31, "RemoteValid"),
      },
    },
  ],
};

const equalization = {
  equalizationComplete: flag(0, "EquComplete"),
  equalizationPhase1Successful: flag(1, "EquPhase1"),
  equalizationPhase2Successful: flag(2, "EquPhase2"),
  equalizationPhase3Successful: flag(3, "EquPhase3"),
  linkEqualizationRequest: flag(4, "LinkEquRequest"),
};

const mismatch = (name: string, offset: number, label: string): RegisterLayout => ({
  name,
  offset,
  sizeBytes: 4,
  label,
  when: (scope) => scope.read(offset, 4) !== 0,
  fields: { lanes: hex(0, 31, 8, "{}") },
});

/** Section 7.7.5. */
export const physicalLayer16: CapabilityLayout = {
  title: "Physical Layer 16.0 GT/s",
  registers: [
    { name: "status16GTs", offset: 0x0c, sizeBytes: 4, label: "Phy16Sta:", fields: equalization },
    mismatch("localDataParityMismatch", 0x10, "LocalParityMismatch:"),
    mismatch("firstRetimerDataParityMismatch", 0x14, "FirstRetimerParityMismatch:"),
    mismatch("secondRetimerDataParityMismatch", 0x18, "SecondRetimerParityMismatch:"),
  ],
};

const TS_MODES = ["PCI Express", "Training Set Messages", "Alternate Protocol Negotiation"];
const LINK_BEHAVIOR = [
  "Full Equalization required",
  "Equalization bypass to highest rate support",
  "No Equalization Needed",
  "Modified TS1/TS2 Ordered Sets supported",
];

/** Section 7.7.6. */
export const physicalLayer32: CapabilityLayout = {
  title: "Physical Layer 32.0 GT/s",
  registers: [
    {
      name: "capabilities32GTs",
      offset: 4,
      sizeBytes: 4,
      label: "Phy32Cap:",
      fields: {
        equalizationBypassToHighestRateSupported: flag(0, "EqualizationBypass"),
        noEqualizationNeededSupported: flag(1, "NoEqualizationNeeded"),
        modifiedTsUsageMode0Supported: flag(8, "\n  ModTsMode0"),
        modifiedTsUsageMode1Supported: flag(9, "ModTsMode1"),
        modifiedTsUsageMode2Supported: flag(10, "ModTsMode2"),
      },
    },
    {
      name: "control32GTs",
      offset: 8,
      sizeBytes: 4,
      label: "Phy32Ctl:",
      fields: {
        equalizationBypassToHighestRateDisable: flag(0, "EqualizationBypassDis"),
        noEqualizationNeededDisable: flag(1, "NoEqualizationNeededDis"),
        modifiedTsUsageModeSelected: choice(8, 10, "\n  Modified TS Usage Mode: {}", TS_MODES),
      },
    },
    {
      name: "status32GTs",
      offset: 12,
      sizeBytes: 4,
      label: "Phy32Sta:",
      fields: {
        ...equalization,
        receivedEnhancedLinkBehaviorControl: choice(
          6,
          7,
          "\n  Received Enhanced Link Behavior Control: {}",
          LINK_BEHAVIOR,
        ),
        modifiedTsReceived: flag(5, "\n  ModTsRecv"),
        transmitterPrecodingOn: flag(8, "TxPrecodeOn"),
        transmitterPrecodeRequest: flag(9, "TxPrecodeReq"),
        noEqualizationNeededReceived: flag(10, "NoEqualizationNeededRecv"),
      },
    },
  ],
};

/** Section 7.7.7. */
export const physicalLayer64: CapabilityLayout = {
  title: "Physical Layer 64.0 GT/s",
  registers: [
    {
      name: "status64GTs",
      offset: 12,
      sizeBytes: 4,
      label: "Phy64Sta:",
      fields: {
        ...equalization,
        transmitterPrecodingOn: flag(5, "\n  TxPrecodeOn"),
        transmitterPrecodeRequest: flag(6, "TxPrecodeReq"),
        noEqualizationNeededReceived: flag(7, "NoEqualizationNeededRecv"),
      },
    },
  ],
};

/** Section 7.7.10. */
export const laneMargining: CapabilityLayout = {
  title: "Lane Margining at the Receiver",
  registers: [
    {
      name: "marginingPortCapabilities",
      offset: 4,
      sizeBytes: 2,
      label: "PortCap:",
      fields: { marginingUsesDriverSoftware: flag(0, "Uses Driver") },
    },
    {
      name: "marginingPortStatus",
      offset: 6,
      sizeBytes: 2,
      label: "PortSta:",
      fields: { marginingReady: flag(0, "MargReady"), marginingSoftwareReady: flag(1, "MargSoftReady") },
    },
  ],
};
