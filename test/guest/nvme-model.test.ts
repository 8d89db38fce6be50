/** Our model of an NVMe controller, as a disk of a stock kernel's own driver. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { runGuest } from "../../src/guest/run-guest.ts";
import "../../src/schemes.ts";

const TIMEOUT_MS = 180_000;
const MODEL = join(import.meta.dir, "../../examples/nvme/nvme.model.ts");
const FILE_SECTORS = (16 * 2 ** 20) / 512;

test.each([
  ["x86_64", true],
  ["aarch64", true],
  ["aarch64", false],
] as const)(
  "an %s guest finds the model, formats it, mounts it, and reads back what it wrote (with an IOMMU: %p)",
  async (arch, iommu) => {
    let text = "";
    const { exitCode } = await runGuest({
      arch,
      iommu,
      devices: [`model:${MODEL}`],
      command: ["sh", "/vfiokit/test/guest/inside/disk.sh"],
      onStdout: (bytes) => {
        text += new TextDecoder().decode(bytes);
      },
      onStderr: (bytes) => void process.stderr.write(bytes),
      timeoutMs: TIMEOUT_MS - 10_000,
    });
    expect(exitCode).toBe(0);
    const [driver, written, read, sectors = ""] = text.split("\n");
    expect(driver).toBe("nvme");
    expect(written).toMatch(/^[\da-f]{64} /);
    expect(read).toBe(written);
    // They went to the disk and came from it.
    for (const count of sectors.split(" ")) expect(Number(count)).toBeGreaterThanOrEqual(FILE_SECTORS);
  },
  TIMEOUT_MS,
);
