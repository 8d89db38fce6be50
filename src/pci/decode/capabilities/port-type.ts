import type { Condition } from "./register-layout.ts";

/** Device/Port Type: PCIe 6.0, section 7.5.3.2, bits 7:4. */
export const PortType = {
  ENDPOINT: 0,
  LEGACY_ENDPOINT: 1,
  ROOT_PORT: 4,
  UPSTREAM: 5,
  DOWNSTREAM: 6,
  PCIE_TO_PCI: 7,
  PCI_TO_PCIE: 8,
  ROOT_COMPLEX_ENDPOINT: 9,
  EVENT_COLLECTOR: 10,
} as const;

/** For functions of these types only. */
export function onPorts(...types: readonly number[]): Condition {
  return ({ portType }) => portType !== undefined && types.includes(portType);
}
