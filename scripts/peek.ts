/** Reads registers of a device. */
import { defineCommand } from "citty";
import type { Width } from "../src/registers/table.ts";
import { ExitCode } from "./cli/exit-code.ts";
import { hex, timeoutMs, wholeNumber } from "./cli/number.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { deviceArgs, endWith, OPENING, printJson, required } from "./cli/verb.ts";
import { dumpWords } from "./device/dump.ts";
import { openFor } from "./device/open.ts";
import { checkPlace, MAX_COUNT, openWords, parsePlace, spaceName, widths } from "./device/place.ts";
import { SILENCE, whySilentAt } from "./device/silence.ts";
import { parseCondition, unmet, waitFor } from "./device/wait.ts";

const command = defineCommand({
  meta: {
    name: "peek.ts",
    description: `Read registers of a device, in a BAR or in configuration space. Each is read once, by one access
of exactly the requested width.

Examples:
  bun run peek.ts 0000:00:09.0 0:0x44
  bun run peek.ts model:vp9 1:0 --width 64 --count 32
  bun run peek.ts 0000:00:09.0 config:0 --width 16 --count 2
  bun run peek.ts 0000:00:09.0 0:0x44 --wait 0xff=2 --timeout 0.5

--json: device, space (BAR0 or config), offset and width (bits) as numbers, values as
hexadecimal text, answers (whether the device answers); with --wait also outcome (met, timeout
or interrupted).

${OPENING}
${SILENCE}
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
    width: { type: "enum", options: widths, default: "32", description: "Bits of one access" },
    count: { type: "string", default: "1", valueHint: "N", description: "Consecutive registers" },
    wait: {
      type: "string",
      valueHint: "MASK=VALUE",
      description: "Read until the bits in MASK are VALUE",
    },
    timeout: {
      type: "string",
      default: "10",
      valueHint: "S",
      description: "Time limit of --wait, and of each answer from a server, in seconds",
    },
  },
  run: ({ args }) =>
    endWith(async () => {
      const spec = required(args.spec, "the device");
      const place = parsePlace(required(args.place, "the register to read, BAR:OFFSET or config:OFFSET,"));
      const width = Number(args.width) as Width;
      const condition = args.wait === undefined ? undefined : parseCondition(args.wait, width);
      const limitMs = timeoutMs(args.timeout);
      const count = wholeNumber("--count", args.count, 1, condition ? 1 : MAX_COUNT);
      checkPlace(place, width, count);

      using device = openFor(spec, [place], "r", { timeoutMs: limitMs });
      const words = openWords(device, place, width, count);
      const waited = condition && (await waitFor(() => words.read(0), condition, limitMs));
      const values = waited ? [waited.value] : Array.from({ length: count }, (_, i) => words.read(i));
      const silent = whySilentAt(device, place, width, values);

      if (args.json) {
        const shown = values.map((value) => hex(value, width));
        const outcome = waited && { outcome: waited.outcome };
        printJson({
          device: spec,
          space: spaceName(place),
          offset: place.offset,
          width,
          values: shown,
          answers: silent === undefined,
          ...outcome,
        });
      } else if (silent !== undefined || !waited || waited.outcome === "met")
        console.log(dumpWords(place.offset, width, values));
      if (silent !== undefined) {
        await say("error", `${spec}: ${silent}`);
        return ExitCode.SILENT;
      }
      if (!condition || !waited || waited.outcome === "met") return 0;
      await say("error", `${spec}: ${unmet(place, width, condition, limitMs, waited)}`);
      return waited.outcome === "timeout" ? 1 : ExitCode.INTERRUPTED;
    }),
});

await runVerb(command, { required: ["spec", "place"] });
