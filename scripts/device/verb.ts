/** What the verbs that open a device have in common. */
import { DeviceError, type PciDevice } from "../../src/device/device.ts";
import { Config } from "../../src/pci/config.ts";
import { say } from "../say.ts";
import { UsageError } from "./number.ts";

/** `--json`, of every verb that ends with {@link endWith}. */
export const jsonArg = {
  type: "boolean",
  default: false,
  description: 'Print JSON instead: as above, or {"error": "..."} when it fails',
} as const;

export const deviceArgs = {
  spec: {
    type: "positional",
    required: false,
    description: "The device: 0000:00:09.0, vfio-user:/path/to.sock or model:vp9",
  },
  json: jsonArg,
} as const;

/** For --help: what opening does by itself. */
export const OPENING = `Opening a device turns its memory decode and bus master on, and closing it turns bus master
off. Kernel VFIO and vfio-user servers reset a device at both, where they can: what one
command writes is gone for the next one.`;

/** What went wrong first: where closing a device fails as well, the error that led there comes wrapped. */
function firstOf(error: unknown): unknown {
  return error instanceof SuppressedError ? firstOf(error.suppressed) : error;
}

let printed = false;

/** Prints the one value of `--json`. */
export function printJson(value: unknown): void {
  printed = true;
  console.log(JSON.stringify(value));
}

/**
 * Carries out a verb, says what went wrong, with --json on standard output, too, unless its value is there already; and
 * ends the process: work's own exit code, 1 failed, 2 usage.
 */
export async function endWith(work: () => Promise<number> | number): Promise<never> {
  let exitCode = 1;
  try {
    exitCode = await work();
  } catch (thrown) {
    const error = firstOf(thrown);
    const message = error instanceof Error ? error.message : String(error);
    await say("error", message);
    if (process.argv.includes("--json") && !printed) printJson({ error: message });
    if (error instanceof UsageError) exitCode = 2;
  }
  process.exit(exitCode);
}

/** Throws UsageError where the word is missing. */
export function required(word: string | undefined, what: string): string {
  if (word === undefined) throw new UsageError(`${what} is missing; --help has examples`);
  return word;
}

/**
 * Throws DeviceError where the device is gone: it answers all ones then (PCIe 6.0, section 2.3.2), but its vendor id
 * never reads so while it is there. The answer also comes after all writes made before, so those have arrived.
 */
export function checkPresent(device: Pick<PciDevice, "spec" | "config">): void {
  if (device.config.read16(Config.VENDOR_ID) !== 0xffff) return;
  throw new DeviceError(
    `${device.spec}: its vendor id reads 0xffff: it no longer answers (link down, powered off, or being programmed); once it is back, bun run rescan.ts finds it again`,
  );
}
