/** Our model of edu beside QEMU's own, through a stock kernel's vfio-pci. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { runGuest } from "../../src/guest/run-guest.ts";
import "../../src/schemes.ts";

const TIMEOUT_MS = 120_000;
const MODEL = join(import.meta.dir, "../../examples/edu/edu.model.ts");

test.each(["x86_64", "aarch64"] as const)(
  "in an %s guest the same driver gets the same answers of QEMU's edu and of ours",
  async (arch) => {
    let text = "";
    const { exitCode } = await runGuest({
      arch,
      devices: ["edu", `model:${MODEL}`],
      command: ["bun", "/vfiokit/test/guest/inside/edu-twins.ts"],
      onStdout: (bytes) => {
        text += new TextDecoder().decode(bytes);
      },
      onStderr: (bytes) => void process.stderr.write(bytes),
      timeoutMs: TIMEOUT_MS - 10_000,
    });
    expect(exitCode).toBe(0);
    const [theirs, ours] = JSON.parse(text) as [unknown[], unknown[]];
    expect(theirs.length).toBe(24);
    expect(ours).toEqual(theirs);
  },
  TIMEOUT_MS,
);
