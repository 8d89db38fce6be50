/**
 * Records what a newer lspci makes of dumps, for machines whose own is older: test/pci/lspci-3.15 has a file for each
 * dump, with lspci's text and, below it, the bytes that it read. It was made with pciutils 3.15.0 of Debian sid:
 *
 *   bun test/pci/record.ts /path/to/lspci DUMP...
 *   bun test/pci/record.ts /path/to/lspci
 *
 * The second form takes the random capabilities of synthetic.ts that lspci 3.9 does not know or words otherwise.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { readDump } from "../../src/pci/decode/hex-dump.ts";
import { hexRows, runLspci, type Space } from "./lspci.ts";
import { newKinds, randomNumbers, syntheticSpace } from "./synthetic.ts";

const FOLDER = join(import.meta.dir, "lspci-3.15");
const VARIANTS = 2;

const [lspci, ...dumps] = Bun.argv.slice(2);
if (lspci === undefined) throw new Error("usage: bun test/pci/record.ts LSPCI [DUMP...]");

function record(lspci: string, spaces: readonly Space[], name: string): void {
  // Without a list of names, which changes from week to week.
  const blocks = runLspci([lspci, "-i", "/dev/null"], spaces);
  const recorded = blocks.map((block, i) => `${block}\n${hexRows(spaces[i]!.bytes)}\n`);
  writeFileSync(join(FOLDER, name), recorded.join("\n"));
}

for (const dump of dumps) {
  const functions = readDump(new Uint8Array(readFileSync(dump)));
  const spaces = functions.map(({ address, bytes }) => ({ bytes, name: String(address) }));
  record(lspci, spaces, basename(dump));
}
if (dumps.length === 0) {
  const random = randomNumbers(3);
  const spaces = newKinds.flatMap(({ standard, extended }) =>
    Array.from({ length: VARIANTS }, () => syntheticSpace(random, standard, extended)),
  );
  record(lspci, spaces, "synthetic.txt");
}
