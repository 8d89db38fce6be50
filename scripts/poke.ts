/** Writes registers of a device. */
import { defineCommand } from "citty";
import { whySilent } from "../src/device/silence.ts";
import type { Width } from "../src/registers/table.ts";
import { ExitCode } from "./cli/exit-code.ts";
import { hex, timeoutMs, wholeNumber, word } from "./cli/number.ts";
import { wordRemedies } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";
import { deviceArgs, endWith, OPENING, printJson, required } from "./cli/verb.ts";
import { dumpWords } from "./device/dump.ts";
import { openFor } from "./device/open.ts";
import {
  checkPlace,
  MAX_COUNT,
  nameOf,
  openWords,
  type Place,
  parsePlace,
  spaceName,
  widths,
} from "./device/place.ts";
import { SILENCE, whySilentAt } from "./device/silence.ts";
import { parseCondition, unmet, waitFor } from "./device/wait.ts";

/** A write of these values one after the other, or of the value read with some bits changed. */
type Change = { readonly values: readonly bigint[] } | { readonly set: bigint; readonly clear: bigint };

function readChange(
  words: readonly string[],
  set: string | undefined,
  clear: string | undefined,
  width: Width,
): Change {
  if (set === undefined && clear === undefined) {
    if (words.length === 0)
      throw new UsageError("say what to write: values, or --set or --clear with a mask");
    return { values: words.map((text) => word("value", text, width)) };
  }
  if (words.length > 0) throw new UsageError("give either values, or --set or --clear with a mask, not both");
  const masks = { set: word("--set", set ?? "0", width), clear: word("--clear", clear ?? "0", width) };
  if ((masks.set & masks.clear) !== 0n) throw new UsageError("--set and --clear name the same bits");
  return masks;
}

/** `[BAR:OFFSET:]MASK=VALUE`; without a place it waits for the register that was written. */
function readWait(text: string | undefined, written: Place, width: Width) {
  if (text === undefined) return undefined;
  const colon = text.lastIndexOf(":");
  const place = colon < 0 ? written : parsePlace(text.slice(0, colon));
  checkPlace(place, width, 1);
  return { place, condition: parseCondition(text.slice(colon + 1), width) };
}

const command = defineCommand({
  meta: {
    name: "poke.ts",
    description: `Write registers of a device, in a BAR or in configuration space. Each is written once, by one access
of exactly the requested width. None is read unless an option asks for it.

Examples:
  bun run poke.ts 0000:00:09.0 0:0x40 3
  bun run poke.ts 0000:00:09.0 0:0x104 0x1000,0,0x2000,0
  bun run poke.ts 0000:00:09.0 1:0 0 --width 64 --count 1024
  bun run poke.ts 0000:00:09.0 config:4 --width 16 --set 0x400 --read-back
  bun run poke.ts 0000:00:05.0 0:8 5 --wait 0:0x20:1=0

--json: device, space (BAR0 or config), offset, width (bits) and count as numbers, values
(written) as hexadecimal text, answers (whether the device answers), and if requested wait
(space, offset, value, outcome) and readBack.

${OPENING}
A write that a vfio-user server refuses is an error. After the writes the Command register is read
to see whether the device answers. ${SILENCE}
If VFIO does not have the function, its configuration space is accessed without opening the device,
whatever driver has it.
Exit codes: 0 done, 1 the device failed or --wait timed out, 2 usage, 5 the device does not
answer (the values are printed all the same), 130 Ctrl-C.`,
  },
  args: {
    ...deviceArgs,
    place: {
      type: "positional",
      required: false,
      description: "BAR:OFFSET or config:OFFSET; numbers may be 0x10, 16 or 0x8000_0000",
    },
    values: {
      type: "positional",
      required: false,
      valueHint: "...",
      description: "Values, for consecutive registers",
    },
    width: { type: "enum", options: widths, default: "32", description: "Bits of one access" },
    count: { type: "string", valueHint: "N", description: "Write one value to N consecutive registers" },
    set: {
      type: "string",
      valueHint: "MASK",
      description: "Read the register, and write it back with these bits set",
    },
    clear: { type: "string", valueHint: "MASK", description: "The same, with these bits cleared" },
    wait: {
      type: "string",
      valueHint: "[BAR:OFFSET:]MASK=VALUE",
      description: "Then read this register (default: the one written) until the bits in MASK are VALUE",
    },
    timeout: {
      type: "string",
      default: "10",
      valueHint: "S",
      description: "Time limit of --wait, and of each answer from a server, in seconds",
    },
    "read-back": {
      type: "boolean",
      default: false,
      description: "Finally read the written registers and show them",
    },
  },
  run: ({ args }) =>
    endWith(async () => {
      const spec = required(args.spec, "the device");
      const place = parsePlace(required(args.place, "the register to write, BAR:OFFSET or config:OFFSET,"));
      const width = Number(args.width) as Width;
      const texts = args._.slice(2).flatMap((text) => text.split(","));
      const change = readChange(texts, args.set, args.clear, width);
      const single = texts.length === 1;
      if (args.count !== undefined && !single)
        throw new UsageError("--count repeats one value; give just one");
      const count = wholeNumber("--count", args.count ?? String(texts.length || 1), 1, MAX_COUNT);
      const wait = readWait(args.wait, place, width);
      const limitMs = timeoutMs(args.timeout);
      checkPlace(place, width, count);

      using device = openFor(spec, [place, ...(wait ? [wait.place] : [])], "r+", { timeoutMs: limitMs });
      const words = openWords(device, place, width, count);
      const watched = wait && openWords(device, wait.place, width, 1);
      const values = "values" in change ? change.values : [(words.read(0) & ~change.clear) | change.set];
      for (let i = 0; i < count; i++) words.write(i, single ? values[0]! : values[i]!);
      const dead = whySilent(device);
      const gone = dead && wordRemedies(dead.text, dead.remedies);
      const waited =
        wait && gone === undefined
          ? await waitFor(() => watched!.read(0), wait.condition, limitMs)
          : undefined;
      const readBack = args["read-back"] ? Array.from({ length: count }, (_, i) => words.read(i)) : undefined;
      const silent =
        gone ??
        (waited && whySilentAt(device, wait!.place, width, [waited.value])) ??
        (readBack && whySilentAt(device, place, width, readBack));

      if (args.json) {
        const shown = (list: readonly bigint[]) => list.map((value) => hex(value, width));
        const { outcome } = waited ?? {};
        printJson({
          device: spec,
          space: spaceName(place),
          offset: place.offset,
          width,
          count,
          values: shown(values),
          answers: silent === undefined,
          ...(wait &&
            waited && {
              wait: {
                space: spaceName(wait.place),
                offset: wait.place.offset,
                value: hex(waited.value, width),
                outcome,
              },
            }),
          ...(readBack && { readBack: shown(readBack) }),
        });
      } else {
        const what = values.length === 1 ? hex(values[0]!, width) : `${count} values`;
        console.log(`${nameOf(place)} <- ${what}${single && count > 1 ? `, ${count} times` : ""}`);
        if (wait && waited?.outcome === "met")
          console.log(`${nameOf(wait.place)} -> ${hex(waited.value, width)}`);
        if (readBack) console.log(dumpWords(place.offset, width, readBack));
      }
      if (silent !== undefined) {
        await say("error", `${spec}: ${silent}`);
        return ExitCode.SILENT;
      }
      if (!wait || !waited || waited.outcome === "met") return 0;
      await say("error", `${spec}: ${unmet(wait.place, width, wait.condition, limitMs, waited)}`);
      return waited.outcome === "timeout" ? 1 : ExitCode.INTERRUPTED;
    }),
});

await runVerb(command, { required: ["spec", "place"] });
