/** An IOMMU group, as text or as JSON. */
import type { GroupMember } from "../../src/pci/bus/group.ts";
import { columns } from "../cli/columns.ts";

export function groupJson(members: readonly GroupMember[]) {
  const group = members[0]?.function.iommuGroup;
  if (!group) return null;
  return {
    ...group,
    viable: members.every(({ viable }) => viable),
    members: members.map(({ function: { address, driver }, viable, verdict }) => ({
      address,
      driver: driver ?? null,
      viable,
      verdict,
    })),
  };
}

/** Its members with their drivers and VFIO's verdicts. */
export function describeGroup(members: readonly GroupMember[]): string {
  const group = members[0]?.function.iommuGroup;
  if (!group) return "no IOMMU group";
  const rows = members.map(({ function: { address, driver }, verdict }) => [
    `  ${address}`,
    driver ?? "-",
    verdict,
  ]);
  return `IOMMU group ${group.number}${group.noiommu ? " (noiommu: it protects nothing)" : ""}\n${columns(rows)}`;
}
