/** Every kind of capability, by its id. */
import type { CapabilityTable } from "./capability.ts";
import {
  advancedFeatures,
  bridgeSubsystem,
  debugPort,
  named,
  sataHba,
  slotId,
  vitalProductData,
} from "./conventional.ts";
import { designatedVendorSpecific } from "./cxl.ts";
import { device3 } from "./device-3.ts";
import { integrityAndEncryption } from "./encryption.ts";
import { enhancedAllocation } from "./enhanced-allocation.ts";
import { advancedErrorReporting, downstreamPortContainment } from "./error-reporting.ts";
import { express } from "./express.ts";
import { flitErrorInjection, flitLogging } from "./flit.ts";
import { hyperTransport } from "./hypertransport.ts";
import {
  dataLinkFeature,
  l1PmSubstates,
  laneMargining,
  latencyTolerance,
  physicalLayer16,
  physicalLayer32,
  physicalLayer64,
  precisionTime,
  secondaryExpress,
} from "./link-extensions.ts";
import { mmioRegisterBlocks } from "./mmio-register-blocks.ts";
import { agp, pciX } from "./pci-x.ts";
import { msi, msix, powerManagement } from "./power-and-interrupts.ts";
import {
  dynamicPower,
  multicast,
  powerBudgeting,
  processingHints,
  readinessTime,
  resizableBar,
  vfResizableBar,
} from "./resources-and-power.ts";
import { eventCollector, rootComplexLink } from "./root-complex.ts";
import { dataObjectExchange, serialNumber, vendorSpecificExtended } from "./serial-and-vendor.ts";
import { vendorSpecific } from "./vendor-specific.ts";
import { virtualChannel } from "./virtual-channel.ts";
import {
  accessControlServices,
  addressTranslation,
  alternativeRoutingId,
  pageRequest,
  processAddressSpace,
  singleRootIov,
} from "./virtualization.ts";

/** PCI Code and ID Assignment 1.18, section 2. */
export const standardCapabilities: CapabilityTable = {
  0: { title: "Null" },
  1: powerManagement,
  2: agp,
  3: vitalProductData,
  4: slotId,
  5: msi,
  6: named("CompactPCI hot-swap <?>"),
  7: pciX,
  8: hyperTransport,
  9: vendorSpecific,
  10: debugPort,
  11: named("CompactPCI central resource control <?>"),
  12: { title: "Hot-plug capable" },
  13: bridgeSubsystem,
  14: named("AGP3 <?>"),
  15: named("Secure device <?>"),
  16: express,
  17: msix,
  18: sataHba,
  19: advancedFeatures,
  20: enhancedAllocation,
};

/** The same document, section 3. */
export const extendedCapabilities: CapabilityTable = {
  0: { title: "Null" },
  1: advancedErrorReporting,
  2: virtualChannel,
  3: serialNumber,
  4: powerBudgeting,
  5: rootComplexLink,
  6: named("Root Complex Internal Link <?>"),
  7: eventCollector,
  8: named("Multi-Function Virtual Channel <?>"),
  9: virtualChannel,
  10: named("Root Complex Register Block <?>"),
  11: vendorSpecificExtended,
  13: accessControlServices,
  14: alternativeRoutingId,
  15: addressTranslation,
  16: singleRootIov,
  17: named("Multi-Root I/O Virtualization <?>"),
  18: multicast,
  19: pageRequest,
  21: resizableBar,
  22: dynamicPower,
  23: processingHints,
  24: latencyTolerance,
  25: secondaryExpress,
  26: named("Protocol Multiplexing <?>"),
  27: processAddressSpace,
  28: named("LN Requester <?>"),
  29: downstreamPortContainment,
  30: l1PmSubstates,
  31: precisionTime,
  32: named("PCI Express over M_PHY <?>"),
  33: named("FRS Queueing <?>"),
  34: readinessTime,
  35: designatedVendorSpecific,
  36: vfResizableBar,
  37: dataLinkFeature,
  38: physicalLayer16,
  39: laneMargining,
  40: named("Hierarchy ID <?>"),
  41: named("Native PCIe Enclosure Management <?>"),
  42: physicalLayer32,
  43: named("Alternate Protocol <?>"),
  44: named("System Firmware Intermediary <?>"),
  46: dataObjectExchange,
  47: device3,
  48: integrityAndEncryption,
  49: physicalLayer64,
  50: flitLogging,
  51: named("Flit Performance Measurement <?>"),
  52: flitErrorInjection,
  53: named("Streamlined Virtual Channel <?>"),
  54: mmioRegisterBlocks,
  55: named("NOP Flit <?>"),
  56: named("Scalable I/O Virtualization <?>"),
  57: named("Physical Layer 128.0 GT/s <?>"),
  58: named("Captured Data <?>"),
};
