/** Power Management, MSI and MSI-X: PCIe 6.0, sections 7.5.2, 7.7.1 and 7.7.2. */
import type { CapabilityLayout } from "./capability.ts";
import { flag, hex, number, type RegisterLayout, wide } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

/** Auxiliary current in D3cold, mA; Power Management Capabilities, bits 8:6. */
const AUX_CURRENT_MA = [0, 55, 100, 160, 220, 270, 320, 375];

export const powerManagement: CapabilityLayout = {
  title: "Power Management",
  heading: {
    name: "powerManagementVersion",
    offset: 2,
    sizeBytes: 1,
    label: "",
    fields: { version: number(0, 2, "version {}") },
  },
  registers: [
    {
      name: "powerManagementCapabilities",
      offset: 2,
      sizeBytes: 2,
      label: "Flags:",
      fields: {
        pmeClock: flag(3, "PMEClk"),
        deviceSpecificInitialization: flag(5, "DSI"),
        d1Support: flag(9, "D1"),
        d2Support: flag(10, "D2"),
        auxCurrentMilliamperes: number(6, 8, "AuxCurrent={}mA", (raw) => AUX_CURRENT_MA[raw]!),
        pmeFromD0: flag(11, "PME(D0{}"),
        pmeFromD1: flag(12, ",D1"),
        pmeFromD2: flag(13, ",D2"),
        pmeFromD3hot: flag(14, ",D3hot"),
        pmeFromD3cold: flag(15, ",D3cold{})"),
      },
    },
    {
      name: "powerManagementControlStatus",
      offset: 4,
      sizeBytes: 2,
      label: "Status:",
      fields: {
        powerState: number(0, 1, "D{}"),
        noSoftReset: flag(3, "NoSoftRst"),
        pmeEnable: flag(8, "PME-Enable"),
        dataSelect: number(9, 12, "DSel={}"),
        dataScale: number(13, 14, "DScale={}"),
        pmeStatus: flag(15, "PME"),
      },
    },
    {
      name: "bridgeSupportExtensions",
      offset: 6,
      sizeBytes: 1,
      label: "Bridge:",
      when: (scope) => scope.read(6, 1) !== 0,
      fields: {
        busPowerClockControlEnable: flag(7, "PM"),
        b3OnD3hot: { ...flag(6, "B3"), value: (raw) => raw === 0n },
      },
    },
  ],
};

const is64 = (scope: Scope) => scope.bits(2, 7) === 1;

/** Data, mask and pending bits, which follow an address of 4 or 8 bytes. */
function msiData(scope: Scope): readonly RegisterLayout[] {
  const data = is64(scope) ? 12 : 8;
  const pending: RegisterLayout = {
    name: "pendingBits",
    offset: data + 8,
    sizeBytes: 4,
    label: "",
    fields: { pending: hex(0, 31, 8, "") },
  };
  return [
    {
      name: "messageAddress",
      offset: 4,
      sizeBytes: is64(scope) ? 8 : 4,
      label: "Address:",
      fields: {
        address: is64(scope) ? wide(0, 63, "{}") : hex(0, 31, 8, "{}"),
        data: {
          ...hex(0, 0, 4, " Data: {}"),
          // In a separate register, but shown on this line.
          value: (_, scope) => scope.read(data, 2),
        },
      },
    },
    { name: "messageData", offset: data, sizeBytes: 2, label: "", fields: { data: hex(0, 15, 4, "") } },
    ...(scope.bits(2, 8)
      ? [
          {
            name: "maskBits",
            offset: data + 4,
            sizeBytes: 4,
            label: "Masking:",
            fields: {
              masked: hex(0, 31, 8, "{}"),
              pending: {
                ...hex(0, 0, 8, " Pending: {}"),
                value: (_: bigint, scope: Scope) => scope.read(data + 8, 4),
              },
            },
          } as const,
          pending,
        ]
      : []),
  ];
}

export const msi: CapabilityLayout = {
  title: "MSI:",
  heading: {
    name: "messageControl",
    offset: 2,
    sizeBytes: 2,
    label: "",
    fields: {
      msiEnable: flag(0, "Enable"),
      multipleMessageEnable: number(4, 6, "Count={}", (raw) => 2 ** raw),
      multipleMessageCapable: number(1, 3, "/{}", (raw) => 2 ** raw),
      perVectorMaskingCapable: flag(8, "Maskable"),
      address64BitCapable: flag(7, "64bit"),
    },
  },
  registers: msiData,
};

export const msix: CapabilityLayout = {
  title: "MSI-X:",
  heading: {
    name: "messageControl",
    offset: 2,
    sizeBytes: 2,
    label: "",
    fields: {
      msixEnable: flag(15, "Enable"),
      tableSize: number(0, 10, "Count={}", (raw) => raw + 1),
      functionMask: flag(14, "Masked"),
    },
  },
  registers: [
    {
      name: "tableOffset",
      offset: 4,
      sizeBytes: 4,
      label: "Vector table:",
      fields: { tableBir: number(0, 2, "BAR={}"), tableOffset: inPlace("offset={}") },
    },
    {
      name: "pbaOffset",
      offset: 8,
      sizeBytes: 4,
      label: "PBA:",
      fields: { pbaBir: number(0, 2, "BAR={}"), pbaOffset: inPlace("offset={}") },
    },
  ],
};

/** An offset in units of 8 bytes; the low bits hold something else. */
function inPlace(text: string) {
  return { ...hex(3, 31, 8, text), value: (raw: bigint) => Number(raw) * 8 };
}
