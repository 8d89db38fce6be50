/** Advanced Error Reporting and Downstream Port Containment: PCIe 6.0, sections 7.8.4 and 7.9.14. */
import type { CapabilityLayout } from "./capability.ts";
import { onPorts, PortType } from "./port-type.ts";
import { flag, hex, number, type RegisterLayout } from "./register-layout.ts";

/** Shared by the status, mask and severity registers. */
const uncorrectable = {
  dataLinkProtocolError: flag(4, "DLP"),
  surpriseDownError: flag(5, "SDES"),
  poisonedTlpReceived: flag(12, "TLP"),
  flowControlProtocolError: flag(13, "FCP"),
  completionTimeout: flag(14, "CmpltTO"),
  completerAbort: flag(15, "CmpltAbrt"),
  unexpectedCompletion: flag(16, "UnxCmplt"),
  receiverOverflow: flag(17, "RxOF"),
  malformedTlp: flag(18, "MalfTLP"),
  ecrcError: flag(19, "\nECRC"),
  unsupportedRequestError: flag(20, "UnsupReq"),
  acsViolation: flag(21, "ACSViol"),
  uncorrectableInternalError: flag(22, "UncorrIntErr"),
  mcBlockedTlp: flag(23, "BlockedTLP"),
  atomicOpEgressBlocked: flag(24, "AtomicOpBlocked"),
  tlpPrefixBlockedError: flag(25, "TLPBlockedErr"),
  poisonedTlpEgressBlocked: flag(26, "\nPoisonTLPBlocked"),
  dmwrRequestEgressBlocked: flag(27, "DMWrReqBlocked"),
  ideCheckFailed: flag(28, "IDECheck"),
  misroutedIdeTlp: flag(29, "MisIDETLP"),
  pcrcCheckFailed: flag(30, "PCRC_CHECK"),
  tlpTranslationEgressBlocked: flag(31, "TLPXlatBlocked"),
};

const correctable = {
  receiverError: flag(0, "RxErr"),
  badTlp: flag(6, "BadTLP"),
  badDllp: flag(7, "BadDLLP"),
  replayNumRollover: flag(8, "Rollover"),
  replayTimerTimeout: flag(12, "Timeout"),
  advisoryNonFatalError: flag(13, "AdvNonFatalErr"),
  correctedInternalError: flag(14, "CorrIntErr"),
  headerLogOverflow: flag(15, "HeaderOF"),
};

const hasRoot = onPorts(PortType.ROOT_PORT, PortType.EVENT_COLLECTOR);

const status = (
  name: string,
  offset: number,
  label: string,
  fields: RegisterLayout["fields"],
): RegisterLayout => ({
  name,
  offset,
  sizeBytes: 4,
  label,
  fields,
});

export const advancedErrorReporting: CapabilityLayout = {
  title: "Advanced Error Reporting",
  registers: [
    status("uncorrectableErrorStatus", 0x04, "UESta:", uncorrectable),
    status("uncorrectableErrorMask", 0x08, "UEMsk:", uncorrectable),
    status("uncorrectableErrorSeverity", 0x0c, "UESvrt:", uncorrectable),
    status("correctableErrorStatus", 0x10, "CESta:", correctable),
    status("correctableErrorMask", 0x14, "CEMsk:", correctable),
    status("advancedErrorCapabilitiesAndControl", 0x18, "AERCap:", {
      firstErrorPointer: hex(0, 4, 2, "First Error Pointer: {},"),
      ecrcGenerationCapable: flag(5, "ECRCGenCap"),
      ecrcGenerationEnable: flag(6, "ECRCGenEn"),
      ecrcCheckCapable: flag(7, "ECRCChkCap"),
      ecrcCheckEnable: flag(8, "ECRCChkEn"),
      multipleHeaderRecordingCapable: flag(9, "\nMultHdrRecCap"),
      multipleHeaderRecordingEnable: flag(10, "MultHdrRecEn"),
      tlpPrefixLogPresent: flag(11, "TLPPfxPres"),
      completionTimeoutPrefixHeaderLogCapable: flag(12, "HdrLogCap"),
    }),
    {
      name: "headerLog",
      offset: 0x1c,
      sizeBytes: 4,
      label: "HeaderLog:",
      fields: {
        firstDoubleWord: hex(0, 31, 8, "{}"),
        secondDoubleWord: { ...hex(0, 0, 8, "{}"), value: (_, scope) => scope.read(0x20, 4) },
        thirdDoubleWord: { ...hex(0, 0, 8, "{}"), value: (_, scope) => scope.read(0x24, 4) },
        fourthDoubleWord: { ...hex(0, 0, 8, "{}"), value: (_, scope) => scope.read(0x28, 4) },
      },
    },
    {
      name: "rootErrorCommand",
      offset: 0x2c,
      sizeBytes: 4,
      label: "RootCmd:",
      when: hasRoot,
      fields: {
        correctableErrorReportingEnable: flag(0, "CERptEn"),
        nonFatalErrorReportingEnable: flag(1, "NFERptEn"),
        fatalErrorReportingEnable: flag(2, "FERptEn"),
      },
    },
    {
      name: "rootErrorStatus",
      offset: 0x30,
      sizeBytes: 4,
      label: "RootSta:",
      when: hasRoot,
      fields: {
        errCorReceived: flag(0, "CERcvd"),
        multipleErrCorReceived: flag(1, "MultCERcvd"),
        errFatalNonFatalReceived: flag(2, "UERcvd"),
        multipleErrFatalNonFatalReceived: flag(3, "MultUERcvd"),
        firstUncorrectableFatal: flag(4, "\n FirstFatal"),
        nonFatalErrorMessagesReceived: flag(5, "NonFatalMsg"),
        fatalErrorMessagesReceived: flag(6, "FatalMsg"),
        advancedErrorInterruptMessageNumber: number(27, 31, "IntMsgNum {}"),
      },
    },
    {
      name: "errorSourceIdentification",
      offset: 0x34,
      sizeBytes: 4,
      label: "ErrorSrc:",
      when: hasRoot,
      fields: {
        errCorSource: hex(0, 15, 4, "ERR_COR: {}"),
        errFatalNonFatalSource: hex(16, 31, 4, "ERR_FATAL/NONFATAL: {}"),
      },
    },
  ],
};

export const downstreamPortContainment: CapabilityLayout = {
  title: "Downstream Port Containment",
  registers: [
    {
      name: "dpcCapability",
      offset: 4,
      sizeBytes: 2,
      label: "DpcCap:",
      fields: {
        dpcInterruptMessageNumber: number(0, 4, "IntMsgNum {},"),
        rpExtensionsForDpc: flag(5, "RPExt"),
        poisonedTlpEgressBlockingSupported: flag(6, "PoisonedTLP"),
        dpcSoftwareTriggeringSupported: flag(7, "SwTrigger"),
        rpPioLogSize: number(8, 11, "RP PIO Log {},"),
        dlActiveErrCorSignalingSupported: flag(12, "DL_ActiveErr"),
      },
    },
    {
      name: "dpcControl",
      offset: 6,
      sizeBytes: 2,
      label: "DpcCtl:",
      fields: {
        dpcTriggerEnable: hex(0, 1, 1, "Trigger:{}"),
        dpcCompletionControl: flag(2, "Cmpl"),
        dpcInterruptEnable: flag(3, "INT"),
        dpcErrCorEnable: flag(4, "ErrCor"),
        poisonedTlpEgressBlockingEnable: flag(5, "PoisonedTLP"),
        dpcSoftwareTrigger: flag(6, "SwTrigger"),
        dlActiveErrCorEnable: flag(7, "DL_ActiveErr"),
      },
    },
    {
      name: "dpcStatus",
      offset: 8,
      sizeBytes: 2,
      label: "DpcSta:",
      fields: {
        dpcTriggerStatus: flag(0, "Trigger"),
        dpcTriggerReason: hex(1, 2, 2, "Reason:{}"),
        dpcInterruptStatus: flag(3, "INT"),
        dpcRpBusy: flag(4, "RPBusy"),
        dpcTriggerReasonExtension: hex(5, 6, 2, "TriggerExt:{}"),
        rpPioFirstErrorPointer: hex(8, 12, 2, "RP PIO ErrPtr:{}"),
      },
    },
    {
      name: "dpcErrorSourceId",
      offset: 10,
      sizeBytes: 2,
      label: "Source:",
      fields: { dpcErrorSourceId: hex(0, 15, 4, "{}") },
    },
  ],
};
