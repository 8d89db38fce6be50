/** MMIO Register Block Locator: PCIe 6.1, section 7.9.27. */
import type { CapabilityLayout } from "./capability.ts";
import { choice, number, type RegisterLayout, wide } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

const FIRST_LOCATOR = 8;
const LOCATOR_BYTES = 8;
const BLOCKS = { 0: "Empty", 1: "MCAP", 255: "MDVS" };

/** As many as the structure's length allows, without those beyond the available bytes. */
function locators(scope: Scope): RegisterLayout[] {
  const count = Math.max(0, Math.floor(scope.bits(4, 0, 11) / LOCATOR_BYTES) - 1);
  return Array.from({ length: count }, (_, i) => ({
    name: `registerLocator${i}`,
    offset: FIRST_LOCATOR + LOCATOR_BYTES * i,
    sizeBytes: 8 as const,
    label: `Locator${i}:`,
    fields: {
      registerBir: number(0, 2, "BIR: BAR{}"),
      blockIdentifier: choice(8, 15, ", ID: {}", BLOCKS, undefined, (raw) => `Reserved (${raw})`),
      offset: wide(16, 63, ", offset: {}"),
    },
  }));
}

export const mmioRegisterBlocks: CapabilityLayout = {
  title: "MMIO Register Block Locator",
  registers: (scope) => [
    {
      name: "mrblCapabilities",
      offset: 4,
      sizeBytes: 4,
      label: "",
      fields: { structureLength: number(0, 11, "") },
    },
    ...locators(scope),
  ],
};
