import type { CapabilityTable } from "./capability.ts";
import { advancedErrorReporting, downstreamPortContainment } from "./error-reporting.ts";
import { express } from "./express.ts";
import { msi, msix, powerManagement } from "./power-and-interrupts.ts";

/** By capability id: PCI Code and ID Assignment 1.16, section 2. */
export const standardCapabilities: CapabilityTable = {
  0x01: powerManagement,
  0x05: msi,
  0x10: express,
  0x11: msix,
};

/** By extended capability id: the same document, section 3. */
export const extendedCapabilities: CapabilityTable = {
  0x0001: advancedErrorReporting,
  0x001d: downstreamPortContainment,
};
