/** Shows a device's registers. */
import { defineCommand } from "citty";
import type { PciDevice } from "../src/device/device.ts";
import { readRegisters, registersAsJson, showRegisters } from "../src/registers/dump.ts";
import { type Width, widthOf } from "../src/registers/table.ts";
import { ExitCode } from "./cli/exit-code.ts";
import { hex, wholeNumber } from "./cli/number.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";
import { deviceArgs, endWith, OPENING, printJson, required } from "./cli/verb.ts";
import { dumpWords } from "./device/dump.ts";
import { openDeviceOf } from "./device/open.ts";
import { checkPlace, MAX_COUNT, openWords, type Place, spaceName } from "./device/place.ts";
import { SILENCE, whySilentAt } from "./device/silence.ts";
import {
  chooseRegisters,
  ENCODER,
  ENCODER_BAR,
  loadTable,
  type NamedTable,
  recognize,
  wrongMagic,
} from "./device/table.ts";

/** Bytes of an unknown BAR to read: enough to see what it is, because any read may have an effect. */
const RAW_BYTES = 256;
const WORD_BITS = 32;
const WORD_BYTES = 4;

const allOnes = (width: Width) => (1n << BigInt(width)) - 1n;

interface Range {
  readonly offset: number;
  /** Undefined: RAW_BYTES, or all if there are fewer. */
  readonly sizeBytes: number | undefined;
}

function readRange(offset: string | undefined, bytes: string | undefined): Range | undefined {
  if (offset === undefined && bytes === undefined) return undefined;
  const range = {
    offset: wholeNumber("--offset", offset ?? "0", 0, Number.MAX_SAFE_INTEGER),
    sizeBytes:
      bytes === undefined ? undefined : wholeNumber("--bytes", bytes, WORD_BYTES, MAX_COUNT * WORD_BYTES),
  };
  checkPlace({ space: 0, offset: range.offset }, WORD_BITS, 1);
  if (range.sizeBytes !== undefined && range.sizeBytes % WORD_BYTES !== 0)
    throw new UsageError(`--bytes ${bytes}: it must be a multiple of ${WORD_BYTES}`);
  return range;
}

/** Shows the registers; returns why the device does not answer, if it does not. */
async function showTable(
  device: PciDevice,
  bar: number,
  named: NamedTable,
  names: readonly string[],
  json: boolean,
): Promise<string | undefined> {
  const values = readRegisters(
    device.bars[bar]!,
    named.name,
    chooseRegisters(named, names),
    names.length > 0,
  );
  // Registers differ in width, so only whether all of a register's bits are ones counts.
  const read = values.flatMap(({ value, register }) => {
    if (value === undefined) return [];
    return [BigInt(value) === allOnes(widthOf(register)) ? allOnes(WORD_BITS) : 0n];
  });
  const silent = whySilentAt(device, { space: bar }, WORD_BITS, read);
  const mistake = silent === undefined && named === ENCODER ? wrongMagic(values) : undefined;
  if (mistake !== undefined) await say("info", `${device.spec} is not the encoder: ${mistake}`);
  const answers = silent === undefined;
  const object = { device: device.spec, bar, table: named.name, answers, registers: registersAsJson(values) };
  if (json) printJson(object);
  else console.log(showRegisters(values));
  return silent;
}

/** The same for words without names. */
function showRaw(
  device: PciDevice,
  bar: number,
  { offset, sizeBytes }: Range,
  json: boolean,
): string | undefined {
  const place: Place = { space: bar, offset };
  const left = Math.max(WORD_BYTES, device.bars[bar]!.sizeBytes - offset);
  const count = Math.floor((sizeBytes ?? Math.min(RAW_BYTES, left)) / WORD_BYTES);
  const words = openWords(device, place, WORD_BITS, count);
  const values = Array.from({ length: count }, (_, i) => words.read(i));
  const silent = whySilentAt(device, place, WORD_BITS, values);
  const answers = silent === undefined;
  const shown = values.map((value) => hex(value, WORD_BITS));
  const object = { device: device.spec, bar, table: null, answers, offset, width: WORD_BITS, values: shown };
  if (json) printJson(object);
  else console.log(dumpWords(offset, WORD_BITS, values));
  return silent;
}

const command = defineCommand({
  meta: {
    name: "regs.ts",
    description: `Show a device's registers with the names of their fields and values, from a register table; or,
without a table, the first ${RAW_BYTES} bytes of a BAR as 32-bit words.

Examples:
  bun run regs.ts 0000:00:09.0
  bun run regs.ts model:vp9 STATUS,ERROR
  bun run regs.ts 0000:00:05.0 --table examples/edu/edu.ts
  bun run regs.ts 0000:00:05.0 --bar 2 --offset 0x100 --bytes 64

The encoder's table is built in (10ee:7022, subsystem 10ee:0007, and the right MAGIC). Your own
table is a file with "export const registers = { ... }", like src/vp9/contract/registers.ts;
registers.ts makes one of IP-XACT or CMSIS-SVD.
Each register is read once, in the table's order; write-only ones (wo) are not read, and those that
a read clears (rc) only if they are named. NAME[3] is one register of an array, NAME all of it.

--json: device, bar, table (or null), answers (whether the device answers), and registers by name (offset, mode, width, value,
fields; the value is null if the register is not read), or without a table offset, width and values.
Values are hexadecimal text; offsets and the fields' values are numbers.

${OPENING}
${SILENCE}
Exit codes: 0 done, 1 the device failed, 2 usage, 5 the device does not answer (the values are
printed all the same).`,
  },
  args: {
    ...deviceArgs,
    names: {
      type: "positional",
      required: false,
      valueHint: "...",
      description: "Only these registers of the table",
    },
    table: {
      type: "string",
      valueHint: "FILE.ts|encoder",
      description: "The register table (default: by the device's IDs)",
    },
    bar: { type: "string", default: "0", valueHint: "N", description: "The BAR that holds the registers" },
    offset: { type: "string", valueHint: "N", description: "Show words without names, from this offset on" },
    bytes: { type: "string", valueHint: "N", description: "Show this many bytes as words without names" },
  },
  run: ({ args }) =>
    endWith(async () => {
      const spec = required(args.spec, "the device");
      const names = args._.slice(1).flatMap((text) => text.split(","));
      const bar = wholeNumber("--bar", args.bar, 0, 5);
      const range = readRange(args.offset, args.bytes);
      if (range && (names.length > 0 || args.table !== undefined))
        throw new UsageError(
          "--offset and --bytes show words without names; leave out --table and the names",
        );
      const given = args.table === undefined ? undefined : await loadTable(args.table);
      if (given) chooseRegisters(given, names);

      using device = openDeviceOf(spec);
      const barBytes = device.bars[bar]!.sizeBytes;
      let why = "";
      let named = given;
      if (!named && !range && bar === ENCODER_BAR) {
        const found = recognize(device);
        if ("why" in found) why = `${found.why}; `;
        else named = found;
      }
      let silent: string | undefined;
      if (named) silent = await showTable(device, bar, named, names, args.json);
      else if (names.length > 0)
        throw new UsageError(`${spec}: ${why}registers have names only with --table FILE.ts`);
      else {
        silent = showRaw(device, bar, range ?? { offset: 0, sizeBytes: undefined }, args.json);
        if (silent === undefined && !range && barBytes > RAW_BYTES)
          await say(
            "info",
            `${why}the first ${RAW_BYTES} of ${barBytes} bytes of ${spaceName({ space: bar, offset: 0 })}; --bytes shows more, --table FILE.ts names them`,
          );
      }
      if (silent === undefined) return 0;
      await say("error", `${spec}: ${silent}`);
      return ExitCode.SILENT;
    }),
});

await runVerb(command, { required: ["spec"] });
