/** Capabilities of conventional PCI that PCI Express functions still have, and a few that only old functions have. */
import type { CapabilityLayout } from "./capability.ts";
import { flag, hex, number } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

/** A capability known only by name. */
export const named = (title: string): CapabilityLayout => ({
  title,
  opaqueBytes: () => Infinity,
});

/**
 * Vital Product Data, PCIe 6.0 section 7.9.19. The data lies behind these two registers. It is not shown,
 * because reading it requires writes to the address register.
 */
export const vitalProductData: CapabilityLayout = {
  title: "Vital Product Data",
  registers: [
    {
      name: "vpdAddress",
      offset: 2,
      sizeBytes: 2,
      label: "",
      fields: { vpdAddress: hex(0, 14, 4, ""), transferComplete: flag(15, "") },
    },
    { name: "vpdData", offset: 4, sizeBytes: 4, label: "", fields: { vpdData: hex(0, 31, 8, "") } },
  ],
};

/** PCI Bridge Architecture 1.2, section 12. */
export const slotId: CapabilityLayout = {
  title: "Slot ID:",
  heading: {
    name: "expansionSlot",
    offset: 2,
    sizeBytes: 2,
    label: "",
    fields: {
      expansionSlotsProvided: number(0, 4, "{} slots"),
      firstInChassis: flag(5, ", First"),
      chassisNumber: hex(8, 15, 2, ", chassis {}"),
    },
  },
};

/** EHCI 1.0, appendix C. */
export const debugPort: CapabilityLayout = {
  title: "Debug port:",
  heading: {
    name: "debugPort",
    offset: 2,
    sizeBytes: 2,
    label: "",
    fields: { debugPortBar: number(13, 15, "BAR={}"), debugPortOffset: hex(0, 12, 4, "offset={}") },
  },
};

/** Subsystem of a bridge, whose header has no room for it: PCIe 6.0, section 7.9.22. */
export const bridgeSubsystem: CapabilityLayout = {
  title: "Subsystem:",
  heading: {
    name: "subsystem",
    offset: 4,
    sizeBytes: 4,
    label: "",
    fields: { subsystemVendorId: hex(0, 15, 4, "Device {}"), subsystemId: hex(16, 31, 4, ":{}") },
  },
};

/** Serial ATA AHCI 1.3.1, section 2.4. */
export const sataHba: CapabilityLayout = {
  title: "SATA HBA",
  heading: {
    name: "sataCapability",
    offset: 2,
    sizeBytes: 2,
    label: "",
    fields: {
      majorRevision: number(4, 7, "v{}"),
      minorRevision: number(0, 3, ".{}"),
      location: {
        // The next register gives it: 4 to 9 are BAR 0 to 5, 15 is configuration space.
        ...number(0, 0, "{}"),
        value: (_, scope) => sataLocation(scope),
      },
    },
  },
};

function sataLocation(scope: Scope): string {
  const bar = scope.bits(4, 0, 3);
  if (bar >= 4 && bar <= 9)
    return `BAR${bar - 4} Offset=${scope.bits(4, 4, 23).toString(16).padStart(8, "0")}`;
  return bar === 15 ? "InCfgSpace" : `BAR??${bar}`;
}

/** PCI Advanced Capabilities ECN, for functions integrated in a root complex: PCIe 6.0, section 7.9.21. */
export const advancedFeatures: CapabilityLayout = {
  title: "PCI Advanced Features",
  registers: [
    {
      name: "advancedFeaturesCapabilities",
      offset: 3,
      sizeBytes: 1,
      label: "AFCap:",
      fields: { transactionsPendingCapability: flag(0, "TP"), functionLevelResetCapability: flag(1, "FLR") },
    },
    {
      name: "advancedFeaturesControl",
      offset: 4,
      sizeBytes: 1,
      label: "AFCtrl:",
      fields: { initiateFunctionLevelReset: flag(0, "FLR") },
    },
    {
      name: "advancedFeaturesStatus",
      offset: 5,
      sizeBytes: 1,
      label: "AFStatus:",
      fields: { transactionsPending: flag(0, "TP") },
    },
  ],
};
