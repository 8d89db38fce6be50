/** A 64-bit prefetchable BAR of 1 GiB, through a stock kernel's vfio-pci. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { runGuest } from "../../src/guest/run-guest.ts";
import "../../src/schemes.ts";

const TIMEOUT_MS = 120_000;
const MODEL = join(import.meta.dir, "../model/models/wide.model.ts");

test.each(["x86_64", "aarch64"] as const)(
  "an %s guest maps all of it, and the model sees what is written at its ends",
  async (arch) => {
    let text = "";
    const { exitCode } = await runGuest({
      arch,
      devices: [`model:${MODEL}`],
      command: ["bun", "/vfiokit/test/guest/inside/wide.ts"],
      onStdout: (bytes) => {
        text += new TextDecoder().decode(bytes);
      },
      onStderr: (bytes) => void process.stderr.write(bytes),
      timeoutMs: TIMEOUT_MS - 10_000,
    });
    expect(exitCode).toBe(0);
    expect(JSON.parse(text)).toEqual({
      sizeBytes: 2 ** 30,
      mapped: true,
      type: 0xc,
      ends: [0x1111, 0x2222],
    });
  },
  TIMEOUT_MS,
);
