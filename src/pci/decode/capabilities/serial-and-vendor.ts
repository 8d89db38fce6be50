/**
 * Serial number, vendor-specific and mailbox capabilities: PCIe 6.0, sections 7.9.3, 7.9.5, 7.9.6 and 7.9.24.
 */
import type { CapabilityLayout } from "./capability.ts";
import { flag, hex, number, rareFlag } from "./register-layout.ts";

/** The number's bytes, highest first; its first three are the maker's EUI-64. */
export const serialNumber: CapabilityLayout = {
  title: "Device Serial Number",
  heading: {
    name: "serialNumber",
    offset: 4,
    sizeBytes: 8,
    label: "",
    fields: {
      serialNumber: {
        bits: [0, 63],
        text: "{}",
        value: (raw) =>
          raw
            .toString(16)
            .padStart(16, "0")
            .replace(/..(?!$)/g, "$&-"),
      },
    },
  },
};

export const vendorSpecificExtended: CapabilityLayout = {
  title: "Vendor Specific Information:",
  heading: {
    name: "vendorSpecificHeader",
    offset: 4,
    sizeBytes: 4,
    label: "",
    fields: {
      vsecId: hex(0, 15, 4, "ID={}"),
      vsecRevision: number(16, 19, "Rev={}"),
      vsecLength: hex(20, 31, 3, "Len={} <?>"),
    },
  },
  opaqueBytes: (scope) => scope.bits(4, 20, 31) || Infinity,
};

/** Section 7.9.24. The mailbox is not read: that would take data that its owner waits for. */
export const dataObjectExchange: CapabilityLayout = {
  title: "Data Object Exchange",
  registers: [
    {
      name: "doeCapabilities",
      offset: 4,
      sizeBytes: 4,
      label: "DOECap:",
      fields: {
        doeInterruptSupport: flag(0, "IntSup"),
        doeInterruptMessageNumber: {
          ...number(1, 11, "\nIntMsgNum {}"),
          when: (scope) => scope.bits(4, 0) === 1,
        },
      },
    },
    {
      name: "doeControl",
      offset: 8,
      sizeBytes: 4,
      label: "DOECtl:",
      fields: {
        doeInterruptEnable: flag(1, "IntEn"),
        doeAbort: rareFlag(0, "Abort"),
        doeGo: rareFlag(31, "Go"),
      },
    },
    {
      name: "doeStatus",
      offset: 12,
      sizeBytes: 4,
      label: "DOESta:",
      fields: {
        doeBusy: flag(0, "Busy"),
        doeInterruptStatus: flag(1, "IntSta"),
        doeError: flag(2, "Error"),
        dataObjectReady: flag(31, "ObjectReady"),
      },
    },
  ],
};
