/** Locates a function's MSI-X table: PCIe 6.0 section 7.7.2. The kernel owns it; drivers leave it alone. */
import { CapabilityId, Config, Status } from "../../pci/config-offsets.ts";
import type { ConfigSpace } from "../../pci/config-space.ts";
import type { SparseArea } from "../../protocol/vfio.ts";
import { MAX_CAPABILITIES } from "../limits.ts";

const ENTRY_BYTES = 16;

/** Undefined for a function without MSI-X. */
export function findMsixTable(config: ConfigSpace): (SparseArea & { readonly bar: number }) | undefined {
  if (!(config.read16(Config.STATUS) & Status.CAPABILITIES)) return undefined;
  let at = config.read8(Config.CAPABILITIES) & ~3;
  for (let links = 0; at >= 0x40 && links < MAX_CAPABILITIES; links++) {
    if (config.read8(at) === CapabilityId.MSIX) {
      const entries = (config.read16(at + 2) & 0x7ff) + 1;
      const table = config.read32(at + 4);
      return { bar: table & 7, offset: (table & ~7) >>> 0, sizeBytes: entries * ENTRY_BYTES };
    }
    at = config.read8(at + 1) & ~3;
  }
  return undefined;
}
