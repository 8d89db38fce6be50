/** What reaches the devices, as QEMU sees it: each access of a driver is one access on the bus, of the same width. */
import { expect, test } from "bun:test";
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { runGuest } from "../../src/guest/run-guest.ts";

interface Made {
  device: "edu" | "nvme" | "pci-testdev";
  base: number;
  offset: number;
  width: number;
  write: boolean;
  count: number;
}

/** QEMU's names of the devices' register blocks. */
const blocks: Record<string, Made["device"]> = {
  "edu-mmio": "edu",
  nvme: "nvme",
  "pci-testdev-mmio": "pci-testdev",
};
const LINE = /^memory_region_ops_(read|write) .* addr 0x([0-9a-f]+) .* size (\d) name '([^']+)'$/;
const TIMEOUT_MS = 300_000;

const key = (device: string, address: number) => `${device} 0x${address.toString(16)}`;

/** Counts by register, then by direction and width: `{ "edu 0xfea00004": { "read 32": 1 } }`. */
async function readTrace(path: string): Promise<Map<string, Record<string, number>>> {
  const seen = new Map<string, Record<string, number>>();
  for await (const line of createInterface(createReadStream(path))) {
    const [, direction, address, bytes, name] = LINE.exec(line) ?? [];
    const device = blocks[name ?? ""];
    if (device === undefined) continue;
    const register = key(device, Number.parseInt(address!, 16));
    const counts = seen.get(register) ?? {};
    const kind = `${direction} ${Number(bytes) * 8}`;
    counts[kind] = (counts[kind] ?? 0) + 1;
    seen.set(register, counts);
  }
  return seen;
}

test.each(["x86_64", "aarch64"] as const)(
  "in an %s guest every access has its width and happens once, cold and hot",
  async (arch) => {
    const folder = mkdtempSync(join(tmpdir(), "vfiokit-trace-"));
    try {
      const path = join(folder, "trace");
      let output = "";
      const { exitCode } = await runGuest({
        arch,
        devices: ["edu", "nvme", "pci-testdev"],
        trace: { events: ["memory_region_ops_read", "memory_region_ops_write"], path },
        command: ["bun", "/vfiokit/test/guest/inside/accesses.ts"],
        onStdout: (bytes) => {
          output += new TextDecoder().decode(bytes);
        },
        onStderr: (bytes) => void process.stderr.write(bytes),
        timeoutMs: TIMEOUT_MS - 10_000,
      });
      expect(exitCode).toBe(0);
      const made = output
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Made);
      expect(made.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(80_000);

      const seen = await readTrace(path);
      const expected = new Map<string, Record<string, number>>();
      for (const { device, base, offset, width, write, count } of made) {
        const register = key(device, base + offset);
        expected.set(register, {
          ...expected.get(register),
          [`${write ? "write" : "read"} ${width}`]: count,
        });
      }
      for (const [register, counts] of expected)
        expect({ register, ...seen.get(register) }).toEqual({ register, ...counts });
      // No driver of the kernel touches these two: all that came is ours.
      const others = [...seen.keys()].filter(
        (register) => !register.startsWith("nvme") && !expected.has(register),
      );
      expect(others).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  TIMEOUT_MS,
);
