/** Capabilities of flit mode: PCIe 6.0, sections 7.7.8 (logging) and 7.8.15 (error injection). */
import type { CapabilityLayout } from "./capability.ts";
import { flitLinkWidth } from "./express-link.ts";
import { choice, type FieldLayout, flag, hex, number, type RegisterLayout } from "./register-layout.ts";

/** Pads labels to the longest one. */
const log = (
  name: string,
  offset: number,
  sizeBytes: RegisterLayout["sizeBytes"],
  label: string,
  fields: RegisterLayout["fields"],
): RegisterLayout => ({ name, offset, sizeBytes, label: `${label}:`.padEnd(10), fields });

/** Each register counts the correctable errors of two lanes. */
const laneCounters: readonly RegisterLayout[] = Array.from({ length: 8 }, (_, i) =>
  log(`fberMeasurementStatus${i + 3}`, 0x1c + 4 * i, 4, `MeasSts${i + 3}`, {
    [`lane${2 * i}CorrectableCounter`]: number(0, 15, `Lane${2 * i}: {},`),
    [`lane${2 * i + 1}CorrectableCounter`]: number(16, 31, `Lane${2 * i + 1}: {}`),
  }),
);

export const flitLogging: CapabilityLayout = {
  title: "Flit Logging",
  registers: [
    log("flitErrorLog1", 0x04, 4, "Log1", {
      flitErrorLogValid: flag(0, "Valid{},"),
      flitErrorLinkWidth: flitLinkWidth(1, "Link Width: {}"),
      flitOffset: number(4, 7, ""),
      consecutiveFlitError: number(8, 12, ""),
      moreEntriesValid: flag(13, "\n   More entries"),
      unrecognizedFlit: flag(14, "Unrecognized flit"),
      fecUncorrectableError: flag(15, "FEC uncorrectable"),
      syndromeParityEccGroup0: hex(16, 23, 2, "\n   SyndParityGrp0: {},"),
      syndromeCheckEccGroup0: hex(24, 31, 2, "SyndCheckGrp0: {}"),
    }),
    log("flitErrorLog2", 0x08, 4, "Log2", {
      syndromeParityEccGroup1: hex(0, 7, 2, "SyndParityGrp1: {},"),
      syndromeCheckEccGroup1: hex(8, 15, 2, "SyndCheckGrp1: {}"),
      syndromeParityEccGroup2: hex(16, 23, 2, "\n   SyndParityGrp2: {},"),
      syndromeCheckEccGroup2: hex(24, 31, 2, "SyndCheckGrp2: {}"),
    }),
    log("flitErrorCounterControl", 0x0c, 2, "CntCtl", {
      flitErrorCounterEnable: flag(0, "Flit Error Counter En"),
      flitErrorCounterInterruptEnable: flag(1, "Flit Error Counter Interrupt En"),
      eventsToCount: number(2, 3, "\n   Events to count: {},"),
      triggerEventOnErrorCount: hex(4, 11, 2, "Trigger Event on Error Count: {}"),
    }),
    log("flitErrorCounterStatus", 0x0e, 2, "CntSts", {
      linkWidthWhenStarted: flitLinkWidth(0, "Link Width when Error Counter Started {}"),
      interruptGenerated: flag(3, "\n   Interrupt Generated based on Trigger Event Count{},"),
      flitErrorCounter: number(8, 15, "FlitErr: {}"),
    }),
    log("fberMeasurementControl", 0x10, 4, "MeasCtl", {
      fberMeasurementEnable: flag(0, "En"),
      clearFberCounters: flag(1, ""),
      granularity: choice(2, 3, "Granularity: {}", ["all", "even", "odd", "mismatch"]),
    }),
    log("fberMeasurementStatus1", 0x14, 4, "MeasSts1", { flitCounter: number(0, 31, "Flit Counter: {}") }),
    log("fberMeasurementStatus2", 0x18, 4, "MeasSts2", {
      invalidFlitCounter: number(0, 15, "Invalid Flit Counter: {}"),
    }),
    ...laneCounters,
  ],
};

const injection = (
  name: string,
  offset: number,
  label: string,
  fields: RegisterLayout["fields"],
): RegisterLayout => ({
  name,
  offset,
  sizeBytes: 4,
  label: `${label}:`.padEnd(13),
  fields,
});

const FLIT_TYPES = ["any", "any non-IDLE", "only payload", "only NOP"];
const CONSECUTIVE = { 0: "none", 1: "1", 2: "2", 3: "3", 5: "5", 6: "6", 7: "pseudo-random" };
const ERROR_TYPES = ["random", "correctable single group", "correctable three groups", "uncorrectable"];
const PROGRESS = ["not started", "started", "completed", "error"];

/** Ordered sets and states for error injection, two bits each, with the text before each. */
const ORDERED_SETS: readonly (readonly [name: string, text: string])[] = [
  ["ts0", "TS0:"],
  ["ts1", ", TS1:"],
  ["ts2", ", TS2:"],
  ["skp", "\n      SKP:"],
  ["eieos", ", EIEOS:"],
  ["eios", ", EIOS:"],
  ["sds", "\n      SDS:"],
  ["polling", ", Polling:"],
  ["configuration", ", Configuration:"],
  ["l0", "\n      L0:"],
  ["nonEqRecovery", ", non-EQ recovery:"],
  ["equalizationPhase01", ", Eq01:"],
  ["equalizationPhase2", "\n      Eq2:"],
  ["equalizationPhase3", ", Eq3:"],
];
const orderedSetStatus: Readonly<Record<string, FieldLayout>> = Object.fromEntries(
  ORDERED_SETS.map(([name, text], i) => [name, choice(2 * i, 2 * i + 1, `${text} {}`, PROGRESS)]),
);

export const flitErrorInjection: CapabilityLayout = {
  title: "Flit Error Injection",
  registers: [
    injection("flitErrorInjectionControl1", 0x08, "FlitEiCtl1", {
      flitErrorInjectionEnable: flag(0, "En"),
      injectErrorsOnTransmittedFlits: flag(1, "Tx"),
      injectErrorsOnReceivedFlits: flag(2, "Rx"),
      enableAt2_5GTs: flag(6, "2.5GT/s"),
      enableAt5GTs: flag(7, "5.0GT/s"),
      enableAt8GTs: flag(8, "8.0GT/s"),
      enableAt16GTs: flag(9, "16.0GT/s"),
      enableAt32GTs: flag(10, "32.0GT/s"),
      enableAt64GTs: flag(11, "64.0GT/s"),
      numberOfErrors: number(16, 20, "\n      Number of errors: {},"),
      spacingBetweenErrors: number(21, 28, "Spacing between errors: {},"),
      flitType: choice(29, 30, "Flit Type: {}", FLIT_TYPES),
    }),
    injection("flitErrorInjectionControl2", 0x0c, "FlitEiCtl2", {
      consecutiveErrorInjection: choice(
        0,
        2,
        "Consecutive: {},",
        CONSECUTIVE,
        undefined,
        (raw) => `Unknown (${raw})`,
      ),
      errorType: choice(3, 4, "Type: {},", ERROR_TYPES),
      errorOffset: number(5, 11, "Offset: {},"),
      errorMagnitude: number(12, 19, "Magnitude: {}"),
    }),
    injection("flitErrorInjectionStatus", 0x10, "FlitEiSts", {
      txInjectionStatus: choice(0, 1, "Tx: {},", PROGRESS),
      rxInjectionStatus: choice(2, 3, "Rx: {}", PROGRESS),
    }),
    injection("orderedSetErrorInjectionControl1", 0x14, "FlitEiOsCtl1", {
      orderedSetErrorInjectionEnable: flag(0, "En"),
      injectErrorsOnTransmittedOrderedSets: flag(1, "Tx"),
      injectErrorsOnReceivedOrderedSets: flag(2, "Rx"),
      numberOfErrors: number(3, 7, ""),
      spacingBetweenErrors: number(8, 15, ""),
      ts0: flag(16, "TS0"),
      ts1: flag(17, "TS1"),
      ts2: flag(18, "TS2"),
      skp: flag(19, "SKP"),
      eieos: flag(20, "EIEOS"),
      eios: flag(21, "EIOS"),
      sds: flag(22, "\n      SDS"),
      polling: flag(23, "Poll"),
      configuration: flag(24, "Conf"),
      l0: flag(25, "L0"),
      nonEqRecovery: flag(26, "NoEq"),
      equalizationPhase01: flag(27, "Eq01"),
      equalizationPhase2: flag(28, "Eq2"),
      equalizationPhase3: flag(29, "Eq3"),
    }),
    injection("orderedSetErrorInjectionControl2", 0x18, "FlitEiOsCtl2", {
      errorInjectionBytes: hex(0, 15, 4, "Bytes: {},"),
      laneNumbers: hex(16, 31, 4, "Lanes: {}"),
    }),
    injection("orderedSetTxInjectionStatus", 0x1c, "FlitEiOsTx", orderedSetStatus),
    injection("orderedSetRxInjectionStatus", 0x20, "FlitEiOsRx", orderedSetStatus),
  ],
};
