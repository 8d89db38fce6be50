/** Sharing and isolating devices: PCIe 6.0, sections 7.7.11, 7.8.8, 9.3.3 and 10.5. */
import type { CapabilityLayout } from "./capability.ts";
import { flag, hex, number, type RegisterLayout } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

const services = {
  acsSourceValidation: flag(0, "SrcValid"),
  acsTranslationBlocking: flag(1, "TransBlk"),
  acsP2pRequestRedirect: flag(2, "ReqRedir"),
  acsP2pCompletionRedirect: flag(3, "CmpltRedir"),
  acsUpstreamForwarding: flag(4, "UpstreamFwd"),
  acsP2pEgressControl: flag(5, "EgressCtrl"),
  acsDirectTranslatedP2p: flag(6, "DirectTrans"),
};

export const accessControlServices: CapabilityLayout = {
  title: "Access Control Services",
  registers: [
    {
      name: "acsCapability",
      offset: 4,
      sizeBytes: 2,
      label: "ACSCap:",
      fields: { ...services, acsEnhancedCapability: flag(7, ""), egressControlVectorSize: number(8, 15, "") },
    },
    { name: "acsControl", offset: 6, sizeBytes: 2, label: "ACSCtl:", fields: services },
  ],
};

export const alternativeRoutingId: CapabilityLayout = {
  title: "Alternative Routing-ID Interpretation (ARI)",
  registers: [
    {
      name: "ariCapability",
      offset: 4,
      sizeBytes: 2,
      label: "ARICap:",
      fields: {
        mfvcFunctionGroupsCapability: flag(0, "MFVC"),
        acsFunctionGroupsCapability: flag(1, "ACS"),
        nextFunctionNumber: number(8, 15, ", Next Function: {}"),
      },
    },
    {
      name: "ariControl",
      offset: 6,
      sizeBytes: 2,
      label: "ARICtl:",
      fields: {
        mfvcFunctionGroupsEnable: flag(0, "MFVC"),
        acsFunctionGroupsEnable: flag(1, "ACS"),
        functionGroup: number(4, 6, ", Function Group: {}"),
      },
    },
  ],
};

export const addressTranslation: CapabilityLayout = {
  title: "Address Translation Service (ATS)",
  registers: [
    {
      name: "atsCapability",
      offset: 4,
      sizeBytes: 2,
      label: "ATSCap:",
      fields: {
        invalidateQueueDepth: hex(0, 4, 2, "Invalidate Queue Depth: {}"),
        pageAlignedRequest: flag(5, ""),
        globalInvalidateSupported: flag(6, ""),
      },
    },
    {
      name: "atsControl",
      offset: 6,
      sizeBytes: 2,
      label: "ATSCtl:",
      fields: {
        atsEnable: flag(15, "Enable"),
        smallestTranslationUnit: hex(0, 4, 2, ", Smallest Translation Unit: {}"),
      },
    },
  ],
};

export const pageRequest: CapabilityLayout = {
  title: "Page Request Interface (PRI)",
  registers: [
    {
      name: "pageRequestControl",
      offset: 4,
      sizeBytes: 2,
      label: "PRICtl:",
      fields: { enable: flag(0, "Enable"), reset: flag(1, "Reset") },
    },
    {
      name: "pageRequestStatus",
      offset: 6,
      sizeBytes: 2,
      label: "PRISta:",
      fields: {
        responseFailure: flag(0, "RF"),
        unexpectedPageRequestGroupIndex: flag(1, "UPRGI"),
        stopped: flag(8, "Stopped"),
        prgResponsePasidRequired: flag(15, "PASID"),
      },
    },
    {
      name: "outstandingPageRequests",
      offset: 8,
      sizeBytes: 8,
      label: "Page Request Capacity:",
      fields: {
        capacity: hex(0, 31, 8, "{}"),
        allocation: hex(32, 63, 8, ", Page Request Allocation: {}"),
      },
    },
  ],
};

export const processAddressSpace: CapabilityLayout = {
  title: "Process Address Space ID (PASID)",
  registers: [
    {
      name: "pasidCapability",
      offset: 4,
      sizeBytes: 2,
      label: "PASIDCap:",
      fields: {
        executePermissionSupported: flag(1, "Exec"),
        privilegedModeSupported: flag(2, "Priv"),
        maxPasidWidth: hex(8, 12, 2, ", Max PASID Width: {}"),
      },
    },
    {
      name: "pasidControl",
      offset: 6,
      sizeBytes: 2,
      label: "PASIDCtl:",
      fields: {
        pasidEnable: flag(0, "Enable"),
        executePermissionEnable: flag(1, "Exec"),
        privilegedModeEnable: flag(2, "Priv"),
      },
    },
  ],
};

const VF_BAR0 = 0x24;
const VF_BARS = 6;
const ONES = 0xffff_ffff;

/** BARs of the virtual functions; a 64-bit one takes two. */
function virtualBars(scope: Scope): RegisterLayout[] {
  const bars: RegisterLayout[] = [];
  for (let index = 0; index < VF_BARS; index++) {
    const offset = VF_BAR0 + 4 * index;
    const low = scope.read(offset, 4);
    if (low === 0 || low === ONES) continue;
    const is64Bit = ((low >>> 1) & 3) === 2;
    const low32 = (low & ~0xf) >>> 0;
    const high = is64Bit
      ? scope
          .read(offset + 4, 4)
          .toString(16)
          .padStart(8, "0")
      : "";
    bars.push({
      name: `vfBar${index}`,
      offset,
      sizeBytes: 4,
      label: `Region ${index}: Memory at`,
      fields: {
        address: {
          bits: [0, 31],
          text: "{}",
          value: () => `0x${high}${low32.toString(16).padStart(8, "0")}`,
        },
        memoryType: number(1, 2, "({}-bit,", (raw) => (raw === 0 ? 32 : 64)),
        prefetchable: { ...flag(3, ""), text: low & 8 ? "prefetchable)" : "non-prefetchable)" },
      },
    });
    if (is64Bit) index++;
  }
  return bars;
}

export const singleRootIov: CapabilityLayout = {
  title: "Single Root I/O Virtualization (SR-IOV)",
  registers: (scope) => [
    {
      name: "sriovCapabilities",
      offset: 4,
      sizeBytes: 4,
      label: "IOVCap:",
      fields: {
        vfMigrationCapable: flag(0, "Migration"),
        vf10BitTagRequesterSupported: flag(2, "10BitTagReq"),
        vfMigrationInterruptMessageNumber: number(21, 31, "IntMsgNum {}"),
      },
    },
    {
      name: "sriovControl",
      offset: 8,
      sizeBytes: 2,
      label: "IOVCtl:",
      fields: {
        vfEnable: flag(0, "Enable"),
        vfMigrationEnable: flag(1, "Migration"),
        vfMigrationInterruptEnable: flag(2, "Interrupt"),
        vfMemorySpaceEnable: flag(3, "MSE"),
        ariCapableHierarchy: flag(4, "ARIHierarchy"),
        vf10BitTagRequesterEnable: flag(5, "10BitTagReq"),
      },
    },
    {
      name: "sriovStatus",
      offset: 10,
      sizeBytes: 2,
      label: "IOVSta:",
      fields: { vfMigrationStatus: flag(0, "Migration") },
    },
    {
      name: "vfCounts",
      offset: 12,
      sizeBytes: 8,
      label: "Initial VFs:",
      fields: {
        initialVfs: number(0, 15, "{},"),
        totalVfs: number(16, 31, "Total VFs: {},"),
        numVfs: number(32, 47, "Number of VFs: {},"),
        functionDependencyLink: hex(48, 55, 2, "Function Dependency Link: {}"),
      },
    },
    {
      name: "vfRoutingIds",
      offset: 0x14,
      sizeBytes: 8,
      label: "VF offset:",
      fields: {
        firstVfOffset: number(0, 15, "{},"),
        vfStride: number(16, 31, "stride: {},"),
        vfDeviceId: hex(48, 63, 4, "Device ID: {}"),
      },
    },
    {
      name: "pageSizes",
      offset: 0x1c,
      sizeBytes: 8,
      label: "Supported Page Size:",
      fields: {
        supportedPageSizes: hex(0, 31, 8, "{},"),
        systemPageSize: hex(32, 63, 8, "System Page Size: {}"),
      },
    },
    ...virtualBars(scope),
    {
      name: "vfMigrationStateArrayOffset",
      offset: 0x3c,
      sizeBytes: 4,
      label: "VF Migration:",
      fields: {
        offset: { ...hex(3, 31, 8, "offset: {},"), value: (raw) => Number(raw) * 8 },
        bir: hex(0, 2, 1, "BIR: {}"),
      },
    },
  ],
};
