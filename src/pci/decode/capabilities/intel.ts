/**
 * Intel's vendor-specific capability on host bridges and graphics: CAPID0 in the processors' datasheets,
 * volume 2. Version 1, which they have had since the second generation of Core.
 */
import { choice, flag, hex, number, type RegisterLayout } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

const TYPES = ["Capabilities", "Feature Detection"];
const typeOf = (scope: Scope) => scope.bits(0, 28, 31);
const versionOf = (scope: Scope) => scope.bits(0, 24, 27);

export const intelHeading: RegisterLayout = {
  name: "vendorSpecific",
  offset: 2,
  sizeBytes: 2,
  label: "",
  fields: {
    capabilityLength: number(0, 7, ""),
    capabilityVersion: number(8, 11, ""),
    capabilityType: {
      ...choice(12, 15, "", TYPES),
      text: (scope) => {
        const name = TYPES[typeOf(scope)] ?? "<unknown>";
        return `Intel ${name}${typeOf(scope) === 0 ? ` v${versionOf(scope)}` : ""}`;
      },
    },
  },
};

/** Steps of 266.6 MHz; 0 means no limit. */
const frequency = (raw: number) => (raw === 0 ? "Unlimited" : `${Math.floor((raw * 2666) / 10)}MHz`);

const registers: readonly RegisterLayout[] = [
  {
    name: "capabilitiesA",
    offset: 4,
    sizeBytes: 4,
    label: "CapA:",
    fields: {
      peg60Disable: flag(31, "Peg60Dis"),
      peg12Disable: flag(30, "Peg12Dis"),
      peg11Disable: flag(29, "Peg11Dis"),
      peg10Disable: flag(28, "Peg10Dis"),
      pegLinkWidthUpconfigureDisable: flag(27, "PeLWUDis"),
      dmiWidth: number(26, 26, "DmiWidth=x{}", (raw) => (raw ? 2 : 4)),
      eccDisable: flag(25, "\n     EccDis"),
      forceEccEnable: flag(24, "ForceEccEn"),
      vtdDisable: flag(23, "VTdDis"),
      dmiGen2Disable: flag(22, "DmiG2Dis"),
      pegGen2Disable: flag(21, "PegG2Dis"),
      ddrMaximumSize: choice(19, 20, "DDRMaxSize={}", ["Unlimited", "8GB/chan", "2GB/chan", "0.5GB/chan"]),
      oneNDisable: flag(17, "\n     1NDis"),
      camarilloDeviceDisable: flag(15, "CDDis"),
      ddpcDisable: flag(14, "DDPCDis"),
      x2apicEnable: flag(13, "X2APICEn"),
      pdcDisable: flag(12, "PDCDis"),
      internalGraphicsDisable: flag(11, "IGDis"),
      compatibilityDeviceId: number(8, 9, "CDID={}"),
      compatibilityRevisionId: number(4, 7, "CRID={}"),
      ddrOverclockingCapable: flag(3, "\n     DDROCCAP"),
      overclockingEnabled: flag(2, "OCEn"),
      ddrWriteVrefEnable: flag(1, "DDRWrtVrefEn"),
      ddr3LEnable: flag(0, "DDR3LEn"),
    },
  },
  {
    name: "capabilitiesB",
    offset: 8,
    sizeBytes: 4,
    label: "CapB:",
    fields: {
      imguDisable: flag(31, "ImguDis"),
      overclockingBySskuCapable: flag(30, "OCbySSKUCap"),
      overclockingBySskuEnabled: flag(29, "OCbySSKUEn"),
      smtCapable: flag(28, "SMTCap"),
      cacheSizeCapability: hex(25, 27, 1, "CacheSzCap 0x{}"),
      softBinCapable: flag(24, "\n     SoftBinCap"),
      ddr3MaximumFrequencyWithReference100: number(21, 23, "DDR3MaxFreqWithRef100={}", (raw) => {
        if (raw === 0) return "Disabled";
        return raw === 7 ? "Unlimited" : `${(6 + raw) * 200}MHz`;
      }),
      pegGen3Disable: flag(20, "PegG3Dis"),
      packageType: flag(19, "\n     PkgTyp"),
      additiveGraphicsEnabled: flag(18, "AddGfxEn"),
      additiveGraphicsCapable: flag(17, "AddGfxCap"),
      pegX16Disable: flag(16, "PegX16Dis"),
      dmiGen3Disable: flag(15, "DmiG3Dis"),
      gmmDisable: flag(8, "GmmDis"),
      ddr3MaximumFrequency: number(4, 5, "\n     DDR3MaxFreq={}", (raw) => frequency(11 - raw)),
      lpddr3Enable: flag(2, "LPDDR3En"),
    },
  },
  {
    name: "capabilitiesC",
    offset: 12,
    sizeBytes: 4,
    label: "CapC:",
    fields: {
      pegGen4Disable: flag(28, "PegG4Dis"),
      ddr4MaximumFrequency: number(23, 26, "DDR4MaxFreq={}", frequency),
      lpddrEnable: flag(22, "LPDDREn"),
      lpddr4MaximumFrequency: number(17, 20, "LPDDR4MaxFreq={}", frequency),
      lpddr4Enable: flag(16, "LPDDR4En"),
      qclkGvDisable: flag(14, "\n     QClkGvDis"),
      sgxDisable: flag(9, "SgxDis"),
      bclkOverclocking: choice(7, 8, "BClkOC={}", ["Disabled", "115MHz", "130MHz", "Unlimited"]),
      iddDisable: flag(6, "IddDis"),
      pipe3Disable: flag(5, "Pipe3Dis"),
      gear1MaximumFrequency: number(0, 3, "Gear1MaxFreq={}", frequency),
    },
  },
];

/** As many registers as the capability's length allows; none for another version or type. */
export function intelRegisters(scope: Scope): readonly RegisterLayout[] {
  if (typeOf(scope) !== 0 || versionOf(scope) !== 1) return [];
  const sizeBytes = scope.read(2, 1);
  return registers.filter(({ offset }) => offset + 4 <= sizeBytes);
}
