/** encode.ts --repair FILE: completes an IVF whose encoding was killed. */
import { realpathSync } from "node:fs";
import type { ArgsDef } from "citty";
import {
  completeIvf,
  examineIvf,
  examineUnfinishedIvf,
  type IvfExtent,
  isWhole,
} from "../../src/media/ivf-repair.ts";
import { MediaError, quoted, shellWord } from "../../src/media/media-error.ts";
import { describeHolder, findHolders } from "../../src/pci/bus/holders.ts";
import { ExitCode } from "../cli/exit-code.ts";
import { say } from "../cli/say.ts";
import { UsageError } from "../cli/usage-error.ts";

type Arguments = Readonly<Record<string, unknown>> & { readonly json: boolean; readonly quiet: boolean };

/** Options that go with --repair. */
const ALLOWED = ["repair", "json", "quiet"];

/** Repairs the file, says what was done, and returns the exit code. */
export async function repair(file: string, args: Arguments, definitions: ArgsDef): Promise<number> {
  let exitCode: number = ExitCode.USAGE;
  let found: IvfExtent | undefined;
  try {
    refuseOthers(args, definitions);
    exitCode = ExitCode.INPUT;
    found = examineIvf(file);
    if (!isWhole(found)) {
      refuseHeld(file);
      exitCode = ExitCode.OUTPUT;
      completeIvf(file, found);
    }
    if (args.json) print(file, found, undefined);
    else if (!args.quiet) console.log(`${file}: ${worded(found)}`);
    return 0;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (args.json) print(file, found, message);
    else await say("error", message);
    return exitCode;
  }
}

/** The fields are in docs/encode.md. */
function print(file: string, found: IvfExtent | undefined, error: string | undefined): void {
  const { frames = null, headerFrames = null, cutBytes = null } = found ?? {};
  const repaired = error === undefined && found !== undefined && !isWhole(found);
  console.log(
    JSON.stringify({ file, frames, headerFrames, cutBytes, repaired, ...(error !== undefined && { error }) }),
  );
}

function worded(found: IvfExtent): string {
  const { frames, headerFrames, cutBytes } = found;
  const whole = `${frames} whole ${frames === 1 ? "frame" : "frames"}`;
  if (isWhole(found)) return `${whole}, nothing to repair`;
  return [
    whole,
    ...(cutBytes > 0 ? [`${cutBytes} ${cutBytes === 1 ? "byte" : "bytes"} of a cut frame removed`] : []),
    ...(frames === headerFrames ? [] : [`the header said ${headerFrames}`]),
  ].join(", ");
}

/** Throws UsageError for anything of an encoding. */
function refuseOthers(args: Arguments, definitions: ArgsDef): void {
  const others = Object.entries(definitions).filter(
    ([name, { default: preset }]) => !ALLOWED.includes(name) && args[name] !== preset,
  );
  const [first] = others;
  if (first === undefined) return;
  const [name, { type }] = first;
  throw new UsageError(
    `--repair changes a file in place and encodes nothing; leave ${type === "positional" ? quoted(String(args[name])) : `--${name}`} out`,
  );
}

/** Throws MediaError while another process has the file open: a writer would go on behind the new end. */
function refuseHeld(file: string): void {
  const [holder] = findHolders(new Set([realpathSync(file)])).filter(({ pid }) => pid !== process.pid);
  if (holder === undefined) return;
  throw new MediaError(
    `${quoted(file)} is open in ${describeHolder(holder)}, which may still write it. Let it end first; nothing was changed`,
  );
}

/** A note if the output that is about to be overwritten is of an encoding that was not finished; else none. */
export function unfinishedNotes(output: string): string[] {
  if (output === "-") return [];
  try {
    const { frames = 0 } = examineUnfinishedIvf(output) ?? {};
    if (frames === 0) return [];
    const held = frames === 1 ? "1 frame" : `${frames} frames`;
    return [
      `${quoted(output)} was there, of an encoding that was not finished: ${held}, which --repair ${shellWord(output)} would have kept`,
    ];
  } catch {
    return []; // not there, or no IVF
  }
}
