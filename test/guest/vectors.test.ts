/** Vectors of a model, through a stock kernel's vfio-pci. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { runGuest } from "../../src/guest/run-guest.ts";
import "../../src/schemes.ts";

const TIMEOUT_MS = 120_000;
const FILE = join(import.meta.dir, "../model/models/bells.model.ts");

test.each([
  ["x86_64", "msix", 8],
  ["x86_64", "msi", 16],
  ["aarch64", "msix", 8],
  ["aarch64", "msi", 16],
] as const)(
  "in an %s guest each vector of %s, %d of them, interrupts as often as it is raised, later if masked, and not when disabled",
  async (arch, kind, count) => {
    let text = "";
    const { exitCode } = await runGuest({
      arch,
      devices: [`model:${FILE}`],
      command: [
        "sh",
        "-ec",
        `bun run bind.ts 00:01.0 >&2; bun /vfiokit/test/guest/inside/bells.ts ${kind} ${count}`,
      ],
      onStdout: (bytes) => {
        text += new TextDecoder().decode(bytes);
      },
      timeoutMs: TIMEOUT_MS - 10_000,
    });
    expect(exitCode).toBe(0);
    const each = Array.from({ length: count }, (_, vector) => vector + 1);
    expect(JSON.parse(text)).toEqual({
      arrived: each,
      late: each.map(() => 0),
      masked: kind === "msix" ? [0, 1] : [],
      rang: each.reduce((sum, rung) => sum + rung, kind === "msix" ? 2 : 1),
      disabled: 0,
    });
  },
  TIMEOUT_MS,
);
