import { expect, test } from "bun:test";
import type { ConfigSpace } from "../../src/device/device.ts";
import { MAX_CAPABILITIES } from "../../src/device/limits.ts";
import { findMsixTable } from "../../src/device/vfio/msix-table.ts";
import { CapabilityId, Config, Status } from "../../src/pci/config-offsets.ts";
import { openConfigSpace } from "../../src/pci/config-space.ts";

/** Configuration space of these bytes, which counts its reads. */
function configOf(bytes: Uint8Array): { config: ConfigSpace; reads: () => number } {
  let reads = 0;
  const config = openConfigSpace(bytes.byteLength, {
    read: (offset, sizeBytes) => {
      reads++;
      return new DataView(bytes.buffer, offset, sizeBytes);
    },
    write: () => {},
  });
  return { config, reads: () => reads };
}

test("a list of capabilities that loops ends, and has no MSI-X", () => {
  const bytes = new Uint8Array(new ArrayBuffer(256));
  bytes[Config.STATUS] = Status.CAPABILITIES;
  bytes[Config.CAPABILITIES] = 0x40;
  bytes.set([CapabilityId.EXPRESS, 0x50], 0x40);
  bytes.set([CapabilityId.EXPRESS, 0x40], 0x50);
  const { config, reads } = configOf(bytes);
  expect(findMsixTable(config)).toBeUndefined();
  expect(reads()).toBeWithin(MAX_CAPABILITIES, 3 * MAX_CAPABILITIES);
  bytes.set([CapabilityId.MSIX, 0, 7, 0], 0x50);
  expect(findMsixTable(config)?.sizeBytes).toBe(8 * 16);
});
