/**
 * Opens a device as somebody else would, in a process of its own, and prints the error's text or what it got: `try.ts
 * SPEC [--as-nobody] [--dma BYTES]... [--hold]`.
 */
import { parseArgs } from "node:util";
import { wordError } from "../../../scripts/cli/remedy.ts";
import { openDevice } from "../../../src/index.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "as-nobody": { type: "boolean" },
    dma: { type: "string", multiple: true },
    /** Keeps the device until standard input ends. */
    hold: { type: "boolean" },
  },
});
const NOBODY = 65534;
if (values["as-nobody"]) {
  process.setgid!(NOBODY);
  process.setuid!(NOBODY);
}
try {
  using device = openDevice(positionals[0]!);
  if (values.dma !== undefined) {
    for (const sizeBytes of values.dma) {
      const memory = device.allocateDma(Number(sizeBytes));
      console.log(`${memory.sizeBytes} bytes in pages of ${memory.pageBytes}`);
    }
  } else console.log(device.reachedBy);
  if (values.hold) await Bun.stdin.text();
} catch (error) {
  console.log(error instanceof Error ? `${error.name}: ${wordError(error)}` : String(error));
}
