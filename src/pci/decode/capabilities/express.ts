/** The PCI Express capability: PCIe 6.0, section 7.5.3. */
import type { CapabilityLayout } from "./capability.ts";
import { L0S_LATENCIES, L1_LATENCIES, link, link2 } from "./express-link.ts";
import { onPorts, PortType } from "./port-type.ts";
import {
  type Condition,
  choice,
  type FieldLayout,
  flag,
  hex,
  number,
  type RegisterLayout,
  rareFlag,
} from "./register-layout.ts";
import type { Scope } from "./scope.ts";

const { ENDPOINT, LEGACY_ENDPOINT, ROOT_PORT, UPSTREAM, DOWNSTREAM } = PortType;
const { PCIE_TO_PCI, PCI_TO_PCIE, ROOT_COMPLEX_ENDPOINT, EVENT_COLLECTOR } = PortType;

const PORT_NAMES: Readonly<Record<number, string>> = {
  [ENDPOINT]: "Endpoint",
  [LEGACY_ENDPOINT]: "Legacy Endpoint",
  [ROOT_PORT]: "Root Port",
  [UPSTREAM]: "Upstream Port",
  [DOWNSTREAM]: "Downstream Port",
  [PCIE_TO_PCI]: "PCI-Express to PCI/PCI-X Bridge",
  [PCI_TO_PCIE]: "PCI/PCI-X to PCI-Express Bridge",
  [ROOT_COMPLEX_ENDPOINT]: "Root Complex Integrated Endpoint",
  [EVENT_COLLECTOR]: "Root Complex Event Collector",
};

const hasLink: Condition = (scope) => !onPorts(ROOT_COMPLEX_ENDPOINT, EVENT_COLLECTOR)(scope);
const canHaveSlot = onPorts(ROOT_PORT, DOWNSTREAM, PCI_TO_PCIE);
const hasSlot: Condition = (scope) => canHaveSlot(scope) && scope.bits(0, 24) === 1;
const hasRoot = onPorts(ROOT_PORT, EVENT_COLLECTOR);
const isVersion2: Condition = (scope) => scope.bits(0, 16, 19) >= 2;

/** Slot power in watts; sections 7.5.3.3 and 7.5.3.9. There is no exact value above 600 W. */
function slotPower(
  low: number,
  scaleLow: number,
  offset: number,
  text: string,
  when?: Condition,
): FieldLayout {
  const watts = (value: number, scope: Scope) => {
    const scale = scope.bits(offset, scaleLow, scaleLow + 1);
    if (scale !== 0) return Number((value / 10 ** scale).toPrecision(6));
    if (value === 0xff) return ">600";
    return value >= 0xf0 ? 250 + 25 * (value - 0xf0) : value;
  };
  return number(low, low + 7, text, watts, when);
}

const bytes128 = (raw: number) => 128 * 2 ** raw;
const endpoints = onPorts(ENDPOINT, LEGACY_ENDPOINT);
const indicators = onPorts(ENDPOINT, LEGACY_ENDPOINT, UPSTREAM, PCIE_TO_PCI);
const resettable = onPorts(ENDPOINT, LEGACY_ENDPOINT, ROOT_COMPLEX_ENDPOINT);
const powered = onPorts(ENDPOINT, UPSTREAM, PCIE_TO_PCI);

const device: readonly RegisterLayout[] = [
  {
    name: "deviceCapabilities",
    offset: 0x04,
    sizeBytes: 4,
    label: "DevCap:",
    fields: {
      maxPayloadSizeSupportedBytes: number(0, 2, "MaxPayload {} bytes", bytes128),
      phantomFunctionsSupported: number(3, 4, ", PhantFunc {}", (raw) => 2 ** raw - 1),
      endpointL0sAcceptableLatency: choice(6, 8, ", Latency L0s {}", L0S_LATENCIES, endpoints),
      endpointL1AcceptableLatency: choice(9, 11, ", L1 {}", L1_LATENCIES, endpoints),
      extendedTagFieldSupported: flag(5, "\nExtTag"),
      attentionButtonPresent: flag(12, "AttnBtn", indicators),
      attentionIndicatorPresent: flag(13, "AttnInd", indicators),
      powerIndicatorPresent: flag(14, "PwrInd", indicators),
      roleBasedErrorReporting: flag(15, "RBE"),
      functionLevelResetCapability: flag(28, "FLReset", resettable),
      capturedSlotPowerLimitWatts: slotPower(18, 26, 0x04, "SlotPowerLimit {}W", powered),
      teeIoSupported: flag(30, "TEE-IO"),
    },
  },
  {
    name: "deviceControl",
    offset: 0x08,
    sizeBytes: 2,
    label: "DevCtl:",
    fields: {
      correctableErrorReportingEnable: flag(0, "CorrErr"),
      nonFatalErrorReportingEnable: flag(1, "NonFatalErr"),
      fatalErrorReportingEnable: flag(2, "FatalErr"),
      unsupportedRequestReportingEnable: flag(3, "UnsupReq"),
      enableRelaxedOrdering: flag(4, "\nRlxdOrd"),
      extendedTagFieldEnable: flag(8, "ExtTag"),
      phantomFunctionsEnable: flag(9, "PhantFunc"),
      auxPowerPmEnable: flag(10, "AuxPwr"),
      enableNoSnoop: flag(11, "NoSnoop"),
      bridgeConfigurationRetryEnable: flag(15, "BrConfRtry", onPorts(PCIE_TO_PCI)),
      initiateFunctionLevelReset: flag(
        15,
        "FLReset",
        (scope) => resettable(scope) && scope.bits(0x04, 28) === 1,
      ),
      maxPayloadSizeBytes: number(5, 7, "\nMaxPayload {} bytes", bytes128),
      maxReadRequestSizeBytes: number(12, 14, ", MaxReadReq {} bytes", bytes128),
    },
  },
  {
    name: "deviceStatus",
    offset: 0x0a,
    sizeBytes: 2,
    label: "DevSta:",
    fields: {
      correctableErrorDetected: flag(0, "CorrErr"),
      nonFatalErrorDetected: flag(1, "NonFatalErr"),
      fatalErrorDetected: flag(2, "FatalErr"),
      unsupportedRequestDetected: flag(3, "UnsupReq"),
      auxPowerDetected: flag(4, "AuxPwr"),
      transactionsPending: flag(5, "TransPend"),
    },
  },
];

const INDICATOR = ["Unknown", "On", "Blink", "Off"];

const slot: readonly RegisterLayout[] = [
  {
    name: "slotCapabilities",
    offset: 0x14,
    sizeBytes: 4,
    label: "SltCap:",
    when: hasSlot,
    fields: {
      attentionButtonPresent: flag(0, "AttnBtn"),
      powerControllerPresent: flag(1, "PwrCtrl"),
      mrlSensorPresent: flag(2, "MRL"),
      attentionIndicatorPresent: flag(3, "AttnInd"),
      powerIndicatorPresent: flag(4, "PwrInd"),
      hotPlugCapable: flag(6, "HotPlug"),
      hotPlugSurprise: flag(5, "Surprise"),
      physicalSlotNumber: number(19, 31, "\nSlot #{}"),
      slotPowerLimitWatts: slotPower(7, 15, 0x14, ", PowerLimit {}W"),
      electromechanicalInterlockPresent: flag(17, "; Interlock"),
      noCommandCompletedSupport: flag(18, "NoCompl"),
    },
  },
  {
    name: "slotControl",
    offset: 0x18,
    sizeBytes: 2,
    label: "SltCtl:",
    when: hasSlot,
    fields: {
      attentionButtonPressedEnable: flag(0, "Enable: AttnBtn"),
      powerFaultDetectedEnable: flag(1, "PwrFlt"),
      mrlSensorChangedEnable: flag(2, "MRL"),
      presenceDetectChangedEnable: flag(3, "PresDet"),
      commandCompletedInterruptEnable: flag(4, "CmdCplt"),
      hotPlugInterruptEnable: flag(5, "HPIrq"),
      dataLinkLayerStateChangedEnable: flag(12, "LinkChg"),
      attentionIndicatorControl: choice(6, 7, "\nControl: AttnInd {}", INDICATOR),
      powerIndicatorControl: choice(8, 9, ", PwrInd {}", INDICATOR),
      powerControllerControl: flag(10, ", Power"),
      electromechanicalInterlockControl: flag(11, "Interlock"),
    },
  },
  {
    name: "slotStatus",
    offset: 0x1a,
    sizeBytes: 2,
    label: "SltSta:",
    when: hasSlot,
    fields: {
      attentionButtonPressed: flag(0, "Status: AttnBtn"),
      powerFaultDetected: flag(1, "PowerFlt"),
      mrlSensorState: flag(5, "MRL"),
      commandCompleted: flag(4, "CmdCplt"),
      presenceDetectState: flag(6, "PresDet"),
      electromechanicalInterlockStatus: flag(7, "Interlock"),
      mrlSensorChanged: flag(2, "\nChanged: MRL"),
      presenceDetectChanged: flag(3, "PresDet"),
      dataLinkLayerStateChanged: flag(8, "LinkState"),
    },
  },
];

const root: readonly RegisterLayout[] = [
  {
    name: "rootCapabilities",
    offset: 0x1e,
    sizeBytes: 2,
    label: "RootCap:",
    when: hasRoot,
    fields: { configurationRrsSoftwareVisibility: flag(0, "CRSVisible") },
  },
  {
    name: "rootControl",
    offset: 0x1c,
    sizeBytes: 2,
    label: "RootCtl:",
    when: hasRoot,
    fields: {
      systemErrorOnCorrectableErrorEnable: flag(0, "ErrCorrectable"),
      systemErrorOnNonFatalErrorEnable: flag(1, "ErrNon-Fatal"),
      systemErrorOnFatalErrorEnable: flag(2, "ErrFatal"),
      pmeInterruptEnable: flag(3, "PMEIntEna"),
      configurationRrsSoftwareVisibilityEnable: flag(4, "CRSVisible"),
    },
  },
  {
    name: "rootStatus",
    offset: 0x20,
    sizeBytes: 4,
    label: "RootSta:",
    when: hasRoot,
    fields: {
      pmeRequesterId: hex(0, 15, 4, "PME ReqID {}"),
      pmeStatus: flag(16, ", PMEStatus"),
      pmePending: flag(17, "PMEPending"),
    },
  },
];

/** Section 7.5.3.15, bits 3:0: which of the ranges A to D. */
const TIMEOUT_RANGES = {
  0: "Not Supported",
  1: "Range A",
  2: "Range B",
  3: "Range AB",
  6: "Range BC",
  7: "Range ABC",
  14: "Range BCD",
  15: "Range ABCD",
};
/** Section 7.5.3.16, bits 3:0. */
const TIMEOUTS = {
  0: "50us to 50ms",
  1: "50us to 100us",
  2: "1ms to 10ms",
  5: "16ms to 55ms",
  6: "65ms to 210ms",
  9: "260ms to 900ms",
  10: "1s to 3.5s",
  13: "4s to 13s",
  14: "17s to 64s",
};
const unknown = () => "Unknown";
const routes = onPorts(ROOT_PORT, UPSTREAM, DOWNSTREAM);
const forwards = onPorts(ROOT_PORT, DOWNSTREAM);
const completes: Condition = (scope) => onPorts(ROOT_PORT)(scope) || scope.hasMemoryBar;
const requests = onPorts(ROOT_PORT, ENDPOINT, ROOT_COMPLEX_ENDPOINT, LEGACY_ENDPOINT);

const device2: readonly RegisterLayout[] = [
  {
    name: "deviceCapabilities2",
    offset: 0x24,
    sizeBytes: 4,
    label: "DevCap2:",
    when: isVersion2,
    fields: {
      completionTimeoutRangesSupported: choice(
        0,
        3,
        "Completion Timeout: {},",
        TIMEOUT_RANGES,
        undefined,
        unknown,
      ),
      completionTimeoutDisableSupported: flag(4, "TimeoutDis"),
      noRoEnabledPrPrPassing: flag(10, "NROPrPrP"),
      ltrMechanismSupported: flag(11, "LTR"),
      tenBitTagCompleterSupported: flag(16, "\n 10BitTagComp"),
      tenBitTagRequesterSupported: flag(17, "10BitTagReq"),
      obffSupported: choice(18, 19, "OBFF {},", [
        "Not Supported",
        "Via message",
        "Via WAKE#",
        "Via message/WAKE#",
      ]),
      extendedFmtFieldSupported: flag(20, "ExtFmt"),
      endEndTlpPrefixSupported: flag(21, "EETLPPrefix"),
      maxEndEndTlpPrefixes: number(
        22,
        23,
        ", MaxEETLPPrefixes {}",
        (raw) => raw || 4,
        (scope) => scope.bits(0x24, 21) === 1,
      ),
      emergencyPowerReductionSupported: choice(24, 25, "\n EmergencyPowerReduction {},", [
        "Not Supported",
        "Dev Specific",
        "Form Factor Dev Specific",
        "Reserved",
      ]),
      emergencyPowerReductionInitializationRequired: flag(26, "EmergencyPowerReductionInit"),
      frsSupported: flag(31, "\n FRS"),
      lnSystemCls: choice(
        14,
        15,
        "LN System CLS {},",
        ["Not Supported", "64byte cachelines", "128byte cachelines", "Reserved"],
        onPorts(ROOT_PORT),
      ),
      tphCompleterSupported: choice(
        12,
        13,
        "{}",
        ["TPHComp- ExtTPHComp-", "TPHComp+ ExtTPHComp-", "", "TPHComp+ ExtTPHComp+"],
        onPorts(ROOT_PORT, ENDPOINT),
      ),
      ariForwardingSupported: flag(5, "ARIFwd", forwards),
      atomicOpRoutingSupported: flag(6, "\n AtomicOpsCap: Routing", routes),
      atomicOpCompleter32BitSupported: flag(
        7,
        (scope) => (routes(scope) ? "32bit" : "\n AtomicOpsCap: 32bit"),
        completes,
      ),
      atomicOpCompleter64BitSupported: flag(8, "64bit", completes),
      casCompleter128BitSupported: flag(9, "128bitCAS", completes),
    },
  },
  {
    name: "deviceControl2",
    offset: 0x28,
    sizeBytes: 2,
    label: "DevCtl2:",
    when: isVersion2,
    fields: {
      completionTimeoutValue: choice(0, 3, "Completion Timeout: {},", TIMEOUTS, undefined, unknown),
      completionTimeoutDisable: flag(4, "TimeoutDis"),
      ariForwardingEnable: flag(5, "ARIFwd", forwards),
      atomicOpRequesterEnable: flag(6, "\n AtomicOpsCtl: ReqEn", requests),
      atomicOpEgressBlocking: flag(
        7,
        (scope) => (requests(scope) ? "EgressBlck" : "\n AtomicOpsCtl: EgressBlck"),
        routes,
      ),
      idoRequestEnable: flag(8, "\n IDOReq"),
      idoCompletionEnable: flag(9, "IDOCompl"),
      ltrMechanismEnable: flag(10, "LTR"),
      emergencyPowerReductionRequest: flag(11, "EmergencyPowerReductionReq"),
      tenBitTagRequesterEnable: flag(12, "\n 10BitTagReq"),
      obffEnable: choice(13, 14, "OBFF {},", ["Disabled", "Via message A", "Via message B", "Via WAKE#"]),
      endEndTlpPrefixBlocking: flag(15, "EETLPPrefixBlk"),
    },
  },
];

export const express: CapabilityLayout = {
  title: "Express",
  heading: {
    name: "pciExpressCapabilities",
    offset: 2,
    sizeBytes: 2,
    label: "",
    fields: {
      capabilityVersion: number(0, 3, "(v{})"),
      devicePortType: choice(4, 7, "{}", PORT_NAMES, undefined, (raw) => `Unknown type ${raw}`),
      slotImplemented: flag(8, "(Slot{})", canHaveSlot),
      interruptMessageNumber: number(9, 13, ", IntMsgNum {}"),
      flitModeSupported: { ...rareFlag(15, ""), text: ", FLIT Mode Supported" },
    },
  },
  registers: (scope) => [
    ...device,
    ...(hasLink(scope) ? link : []),
    ...slot,
    ...root,
    ...device2,
    ...(hasLink(scope) && isVersion2(scope) ? link2 : []),
  ],
};
