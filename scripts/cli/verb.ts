/** Shared by the verbs that open a device. */
import { DeviceError } from "../../src/device/device.ts";
import { ExitCode } from "./exit-code.ts";
import { wordError } from "./remedy.ts";
import { say } from "./say.ts";
import { UsageError } from "./usage-error.ts";

/** `--json`, for every verb that ends with {@link endWith}. */
export const jsonArg = {
  type: "boolean",
  default: false,
  description: 'Print JSON instead (see above), or {"error": "..."} on failure',
} as const;

export const deviceArgs = {
  spec: {
    type: "positional",
    required: false,
    description: "The device: 0000:00:09.0, 10ee:7022, nvme0n1, vfio-user:/path/to.sock or model:vp9",
  },
  json: jsonArg,
} as const;

/** For --help: the effects of opening. */
export const OPENING = `Opening a device turns its memory decode and bus master on; closing it turns bus master off.
Kernel VFIO and vfio-user servers reset the device both times if they can, so writes do not
last until the next command.`;

/** The first error. If closing a device fails, too, a SuppressedError wraps the error that led there. */
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
 * Runs a verb and reports errors; with --json also on standard output, unless its value was printed. Then
 * ends the process: with work's exit code, 1 if it failed, 2 for usage, 5 if the device does not answer.
 */
export async function endWith(work: () => Promise<number> | number): Promise<never> {
  let exitCode = 1;
  try {
    exitCode = await work();
  } catch (thrown) {
    const error = firstOf(thrown);
    const message = wordError(error);
    await say("error", message);
    const silent = error instanceof DeviceError && error.silent;
    if (process.argv.includes("--json") && !printed)
      printJson({ error: message, ...(silent && { answers: false }) });
    if (error instanceof UsageError) exitCode = ExitCode.USAGE;
    if (silent) exitCode = ExitCode.SILENT;
  }
  process.exit(exitCode);
}

/** Throws UsageError if the word is missing. */
export function required(word: string | undefined, what: string): string {
  if (word === undefined) throw new UsageError(`${what} is missing; --help has examples`);
  return word;
}
