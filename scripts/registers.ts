/** Makes a register table of a register description. */
import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { defineCommand } from "citty";
import type { Block, Description } from "../src/registers/import/description.ts";
import { readDescription } from "../src/registers/import/read.ts";
import { tableSource } from "../src/registers/import/source.ts";
import { tableOf } from "../src/registers/import/table.ts";
import { MAX_DESCRIPTION_BYTES } from "../src/registers/limits.ts";
import { wholeNumber } from "./cli/number.ts";
import { readAtMost } from "./cli/read-file.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";
import { endWith, jsonArg, printJson, required } from "./cli/verb.ts";

function describe(file: string): Description {
  let bytes: Uint8Array;
  try {
    bytes = readAtMost(file, MAX_DESCRIPTION_BYTES);
  } catch (error) {
    throw new Error(`${file} can't be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    return readDescription(bytes);
  } catch (error) {
    throw new Error(`${file} is no register description: ${(error as Error).message}`, { cause: error });
  }
}

/** Throws UsageError: there are several, or none of this name. */
function chooseBlock(file: string, { blocks }: Description, wanted: string | undefined): Block {
  const names = blocks.map(({ name }) => name).join(", ");
  if (blocks.length === 0) throw new Error(`${file} describes no registers`);
  if (wanted === undefined && blocks.length > 1)
    throw new UsageError(`${file} has several blocks of registers; choose one with --block: ${names}`);
  const found = blocks.find(
    ({ name }) => wanted === undefined || name.toLowerCase() === wanted.toLowerCase(),
  );
  if (!found) throw new UsageError(`--block ${wanted}: ${file} has ${names}`);
  return found;
}

/** Throws UsageError: the file is there, and not to be overwritten. */
function writeNew(path: string, text: string, force: boolean): void {
  try {
    writeFileSync(path, text, { flag: force ? "w" : "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST")
      throw new UsageError(`${path} exists; --force overwrites it`, { cause: error });
    throw new Error(`${path} can't be written: ${(error as Error).message}`, { cause: error });
  }
}

const command = defineCommand({
  meta: {
    name: "registers.ts",
    description: `Make a register table of a description in IP-XACT (1685-2014 or 1685-2009) or CMSIS-SVD. The table is
TypeScript, for regs.ts --table, openRegisters and defineModel.

Examples:
  bun run registers.ts uart.xml
  bun run registers.ts chip.svd --block DMA0 -o dma.ts
  bun run regs.ts 0000:00:05.0 --table dma.ts

SystemRDL: PeakRDL makes IP-XACT of it (peakrdl ip-xact FILE.rdl -o FILE.xml).

Standard error has a line about everything that the description says and the table does not,
with the register's name. Names become upper snake case. A register file or cluster becomes a
prefix of its registers' names, or an array of each of them. A register has one mode: if its
fields differ, it is the mode that allows all accesses, and a field's own is in its about.
Offsets count from the block's start; if that is not where its BAR begins, add --at.

--json: format, component, block, base (where the block begins in its map, or null), registers (the table by name; 64-bit
values are hexadecimal text) and notes (the lines of standard error).
Exit codes: 0 done, 1 it failed, 2 usage.`,
  },
  args: {
    file: {
      type: "positional",
      required: false,
      description: "The description; - is standard input",
    },
    block: {
      type: "string",
      valueHint: "NAME",
      description: "The address block or peripheral, if there are several",
    },
    at: {
      type: "string",
      default: "0",
      valueHint: "N",
      description: "Where the block begins in its BAR: added to each offset",
    },
    output: {
      type: "string",
      alias: "o",
      valueHint: "FILE.ts",
      description: "Write the table to this new file",
    },
    force: { type: "boolean", default: false, description: "Overwrite it if it exists" },
    json: jsonArg,
  },
  run: ({ args }) =>
    endWith(async () => {
      const file = required(args.file, "the description's file");
      const at = wholeNumber("--at", args.at, 0, Number.MAX_SAFE_INTEGER);
      const description = describe(file);
      const block = chooseBlock(file, description, args.block);
      const notes: string[] = [];
      const note = (line: string) => void notes.push(line);
      const table = tableOf(block.read(note), BigInt(at), note);
      for (const line of notes) await say("info", line);
      const count = Object.keys(table).length;
      if (count === 0) throw new Error(`${file}: block ${block.name} has no register that a table can have`);

      const { format, name: component } = description;
      const from = file === "-" ? "" : ` from ${basename(file)}`;
      const text = tableSource(
        table,
        `Registers of ${block.name} in ${component}${from} (${format}), by vfiokit registers.`,
      );
      if (args.output !== undefined) writeNew(args.output, text, args.force);
      if (args.json) {
        const registers = JSON.parse(
          JSON.stringify(table, (_, value) =>
            typeof value === "bigint" ? `0x${value.toString(16)}` : value,
          ),
        );
        printJson({ format, component, block: block.name, base: block.base ?? null, registers, notes });
      } else if (args.output === undefined) process.stdout.write(text);
      else console.log(`${count} register${count === 1 ? "" : "s"} -> ${args.output}`);
      return 0;
    }),
});

await runVerb(command, { required: ["file"] });
