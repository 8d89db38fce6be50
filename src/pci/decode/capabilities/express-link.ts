/** The link's registers in the PCI Express capability: PCIe 6.0, sections 7.5.3.6 to 7.5.3.8 and 7.5.3.18 to 7.5.3.20. */
import { onPorts, PortType } from "./port-type.ts";
import {
  type Condition,
  choice,
  type FieldLayout,
  flag,
  number,
  type RegisterLayout,
} from "./register-layout.ts";
import type { Scope } from "./scope.ts";

const { ENDPOINT, LEGACY_ENDPOINT, ROOT_PORT, DOWNSTREAM, PCIE_TO_PCI, PCI_TO_PCIE } = PortType;
const isDownstream = onPorts(ROOT_PORT, DOWNSTREAM, PCI_TO_PCIE);

const SPEEDS: readonly string[] = [
  "unknown",
  "2.5GT/s",
  "5GT/s",
  "8GT/s",
  "16GT/s",
  "32GT/s",
  "64GT/s",
  "128GT/s",
];
const speed = (code: number) => SPEEDS[code] ?? "unknown";
/** Latencies that a device accepts, section 7.5.3.3, and that a link has, section 7.5.3.6. */
export const L0S_LATENCIES = ["<64ns", "<128ns", "<256ns", "<512ns", "<1us", "<2us", "<4us", "unlimited"];
export const L1_LATENCIES = ["<1us", "<2us", "<4us", "<8us", "<16us", "<32us", "<64us", "unlimited"];

/** A link width in flit mode's three bits, sections 7.7.8 and 7.7.9. */
export function flitLinkWidth(low: number, text: string): FieldLayout {
  const names = { 0: "x1", 1: "x2", 2: "x4", 3: "x8", 4: "x16", 7: "Dynamic" };
  return choice(low, low + 2, text, names, undefined, (raw) => `Unknown (${raw})`);
}

/**
 * Compares a link's value with its capability. A downstream port is not downgraded: it may support more than
 * its card.
 */
function compared(now: number, capable: number, scope: Scope): string {
  if (now > capable) return " (overdriven)";
  return now === capable || isDownstream(scope) ? "" : " (downgraded)";
}

const aspm = (bit: 0 | 1): Condition => {
  return (scope) => scope.bits(0x0c, 10 + bit) === 1;
};

export const link: readonly RegisterLayout[] = [
  {
    name: "linkCapabilities",
    offset: 0x0c,
    sizeBytes: 4,
    label: "LnkCap:",
    fields: {
      portNumber: number(24, 31, "Port #{}"),
      maxLinkSpeed: number(0, 3, ", Speed {}", speed),
      maximumLinkWidth: number(4, 9, ", Width x{}"),
      aspmSupport: choice(10, 11, ", ASPM {}", ["not supported", "L0s", "L1", "L0s L1"]),
      l0sExitLatency: choice(12, 14, ", Exit Latency L0s {}", L0S_LATENCIES, aspm(0)),
      l1ExitLatency: {
        ...choice(15, 17, "", L1_LATENCIES, aspm(1)),
        text: (scope) => (aspm(0)(scope) ? ", L1 {}" : ", Exit Latency L1 {}"),
      },
      clockPowerManagement: flag(18, "\nClockPM"),
      surpriseDownErrorReportingCapable: flag(19, "Surprise"),
      dataLinkLayerLinkActiveReportingCapable: flag(20, "LLActRep"),
      linkBandwidthNotificationCapability: flag(21, "BwNot"),
      aspmOptionalityCompliance: flag(22, "ASPMOptComp"),
    },
  },
  {
    name: "linkControl",
    offset: 0x10,
    sizeBytes: 2,
    label: "LnkCtl:",
    fields: {
      aspmControl: choice(0, 1, "ASPM {};", ["Disabled", "L0s Enabled", "L1 Enabled", "L0s L1 Enabled"]),
      readCompletionBoundaryBytes: number(
        3,
        3,
        "RCB {} bytes,",
        (raw) => (raw ? 128 : 64),
        onPorts(ROOT_PORT, ENDPOINT, LEGACY_ENDPOINT, PCIE_TO_PCI),
      ),
      linkDisable: flag(4, "LnkDisable"),
      commonClockConfiguration: flag(6, "CommClk"),
      extendedSynch: flag(7, "\nExtSynch"),
      enableClockPowerManagement: flag(8, "ClockPM"),
      hardwareAutonomousWidthDisable: flag(9, "AutWidDis"),
      linkBandwidthManagementInterruptEnable: flag(10, "BWInt"),
      linkAutonomousBandwidthInterruptEnable: flag(11, "AutBWInt"),
      flitModeDisable: flag(13, "FltModeDis"),
    },
  },
  {
    name: "linkStatus",
    offset: 0x12,
    sizeBytes: 2,
    label: "LnkSta:",
    fields: {
      currentLinkSpeed: {
        ...number(0, 3, "", speed),
        text: (scope) => `Speed {}${compared(scope.bits(0x10, 16, 19), scope.bits(0x0c, 0, 3), scope)}`,
      },
      negotiatedLinkWidth: {
        ...number(4, 9, ""),
        text: (scope) => `, Width x{}${compared(scope.bits(0x10, 20, 25), scope.bits(0x0c, 4, 9), scope)}`,
      },
      trainingError: flag(10, "\nTrErr"),
      linkTraining: flag(11, "Train"),
      slotClockConfiguration: flag(12, "SlotClk"),
      dataLinkLayerLinkActive: flag(13, "DLActive"),
      linkBandwidthManagementStatus: flag(14, "BWMgmt"),
      linkAutonomousBandwidthStatus: flag(15, "ABWMgmt"),
    },
  },
];

/** Section 7.5.3.18, seven bits: a link that supports a speed supports all lower ones. */
function speedVector(vector: number): string {
  if (vector === 0) return "Unknown";
  const highest = Math.floor(Math.log2(vector)) + 1;
  return highest === 1 ? "2.5GT/s" : `2.5-${SPEEDS[highest]}`;
}

const DE_EMPHASIS = ["-6dB", "-3.5dB"];
const COMPLIANCE_PRESETS = [
  "-6dB de-emphasis, 0dB preshoot",
  "-3.5dB de-emphasis, 0dB preshoot",
  "-4.4dB de-emphasis, 0dB preshoot",
  "-2.5dB de-emphasis, 0dB preshoot",
  "0dB de-emphasis, 0dB preshoot",
  "0dB de-emphasis, 1.9dB preshoot",
  "0dB de-emphasis, 2.5dB preshoot",
  "-6.0dB de-emphasis, 3.5dB preshoot",
  "-3.5dB de-emphasis, 3.5dB preshoot",
  "0dB de-emphasis, 3.5dB preshoot",
];
const MARGINS = [
  "Normal Operating Range",
  "800-1200mV(full-swing)/400-700mV(half-swing)",
  ...Array<string>(4).fill("200-400mV(full-swing)/100-200mV(half-swing)"),
];
const COMPONENTS = {
  0: "Link Down - Not Determined",
  1: "Link Down - Not Present",
  2: "Link Down - Present",
  4: "Link Up - Present",
  5: "Link Up - Present and DRS Received",
};
const unknown = () => "Unknown";
const hasReadinessStatus: Condition = (scope) => isDownstream(scope) && scope.bits(0x2c, 31) === 1;

export const link2: readonly RegisterLayout[] = [
  {
    name: "linkCapabilities2",
    offset: 0x2c,
    sizeBytes: 4,
    label: "LnkCap2:",
    // Reserved before PCIe 3.0.
    when: (scope) => scope.read(0x2c, 4) !== 0,
    fields: {
      supportedLinkSpeeds: number(1, 7, "Supported Link Speeds: {},", speedVector),
      crosslinkSupported: flag(8, "Crosslink"),
      retimerPresenceDetectSupported: flag(23, "Retimer"),
      twoRetimersPresenceDetectSupported: flag(24, "2Retimers"),
      drsSupported: flag(31, "DRS"),
    },
  },
  {
    name: "linkControl2",
    offset: 0x30,
    sizeBytes: 2,
    label: "LnkCtl2:",
    fields: {
      targetLinkSpeed: number(0, 3, "Target Link Speed: {},", (code) => SPEEDS[code || 1] ?? "Unknown"),
      enterCompliance: flag(4, "EnterCompliance"),
      hardwareAutonomousSpeedDisable: flag(5, "SpeedDis"),
      selectableDeEmphasis: choice(6, 6, ", Selectable De-emphasis: {}", DE_EMPHASIS, onPorts(DOWNSTREAM)),
      transmitMargin: choice(7, 9, "\n Transmit Margin: {},", MARGINS, undefined, unknown),
      enterModifiedCompliance: flag(10, "EnterModifiedCompliance"),
      complianceSos: flag(11, "ComplianceSOS"),
      compliancePresetDeEmphasis: choice(
        12,
        15,
        "\n Compliance Preset/De-emphasis: {}",
        COMPLIANCE_PRESETS,
        undefined,
        unknown,
      ),
    },
  },
  {
    name: "linkStatus2",
    offset: 0x32,
    sizeBytes: 2,
    label: "LnkSta2:",
    fields: {
      currentDeEmphasisLevel: choice(0, 0, "Current De-emphasis Level: {},", DE_EMPHASIS),
      equalizationComplete: flag(1, "EqualizationComplete"),
      equalizationPhase1Successful: flag(2, "EqualizationPhase1"),
      equalizationPhase2Successful: flag(3, "\n EqualizationPhase2"),
      equalizationPhase3Successful: flag(4, "EqualizationPhase3"),
      linkEqualizationRequest: flag(5, "LinkEqualizationRequest"),
      retimerPresenceDetected: flag(6, "\n Retimer"),
      twoRetimersPresenceDetected: flag(7, "2Retimers"),
      crosslinkResolution: choice(8, 9, "CrosslinkRes: {}", [
        "unsupported",
        "Upstream Port",
        "Downstream Port",
        "incomplete",
      ]),
      flitModeStatus: flag(10, ", FltMode"),
      drsMessageReceived: flag(15, ", DRS", hasReadinessStatus),
      downstreamComponentPresence: choice(
        12,
        14,
        "\n DownstreamComp: {}",
        COMPONENTS,
        hasReadinessStatus,
        () => "Reserved",
      ),
    },
  },
];
