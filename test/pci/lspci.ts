/** What lspci makes of configuration spaces, and ours, cut up for comparison. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeConfig } from "../../src/pci/decode/decode.ts";
import { describe } from "../../src/pci/decode/describe.ts";
import { readDump } from "../../src/pci/decode/hex-dump.ts";
import { openNames } from "../../src/pci/decode/names.ts";

/** A function's text: lines of the header, then those of each capability, first line included. */
export interface Text {
  readonly header: readonly string[];
  readonly capabilities: readonly (readonly string[])[];
}

/** Both texts of a function. */
export interface Texts {
  readonly name: string;
  readonly theirs: Text;
  readonly ours: Text;
}

export interface Space {
  /** Its bytes: 64, 256 or 4096. */
  readonly bytes: Uint8Array;
  /** What it is, for the message when a comparison fails. */
  readonly name: string;
}

/** Versions differ in their words; differences.ts lists those from this one, Debian 12's, and those from 3.15. */
const VERSION = "3.9.0";

/** Both texts of each space, theirs from the lspci that is installed. */
export function texts(spaces: readonly Space[]): Texts[] {
  if (!Bun.which("lspci")) throw new Error("these tests need lspci: apt-get install pciutils");
  const version = Bun.spawnSync(["lspci", "--version"]).stdout.toString().trim().split(" ").at(-1);
  if (version !== VERSION) throw new Error(`these tests need lspci ${VERSION}, and this is ${version}`);
  const blocks = runLspci(["lspci"], spaces);
  const names = openNames();
  return spaces.map(({ bytes, name }, i) => ({
    name,
    theirs: cut(blocks[i]!.replace(ADDRESS, "")),
    ours: cut(describe(decodeConfig(bytes), names)),
  }));
}

/** Both texts of each function in a file of record.ts. Names are numbers. */
export function recordedTexts(file: string): Texts[] {
  const recorded = readFileSync(file);
  const functions = readDump(new Uint8Array(recorded));
  const blocks = recorded.toString().trim().split("\n\n");
  if (blocks.length !== functions.length)
    throw new Error(`${file} has ${blocks.length} texts and ${functions.length} functions`);
  const names = openNames([]);
  return functions.map(({ address, bytes }, i) => {
    const lines = blocks[i]!.split("\n").filter((line) => !ROW.test(line));
    return {
      name: `${file}, ${address}`,
      theirs: cut(lines.join("\n").replace(ADDRESS, "")),
      ours: cut(describe(decodeConfig(bytes), names)),
    };
  });
}

const ADDRESS = /^(\S+:)?\S+ /;
const ROW = /^[0-9a-f]{2,3}: [0-9a-f]{2}/;

/**
 * lspci's text of each space. All are given to it in one file, each as the only function of a bus of its own: it hides
 * registers of functions that are not the first of theirs.
 */
export function runLspci(command: readonly string[], spaces: readonly Space[]): string[] {
  const addressOf = (i: number) =>
    `${(i >> 8).toString(16).padStart(4, "0")}:${(i & 0xff).toString(16).padStart(2, "0")}:00.0`;
  const dump = spaces.map(({ bytes }, i) => `${addressOf(i)} space\n${hexRows(bytes)}\n`).join("\n");
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-"));
  try {
    const file = join(folder, "dump");
    writeFileSync(file, dump);
    const { exitCode, stdout, stderr } = Bun.spawnSync([...command, "-F", file, "-vvv"], { stderr: "pipe" });
    if (exitCode !== 0) throw new Error(`lspci ended with ${exitCode}: ${stderr}`);
    const blocks = stdout.toString().trim().split("\n\n");
    if (blocks.length !== spaces.length)
      throw new Error(`lspci shows ${blocks.length} of ${spaces.length} functions`);
    return blocks;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** As lspci -x prints bytes. */
export function hexRows(bytes: Uint8Array): string {
  return Array.from({ length: bytes.byteLength / 16 }, (_, i) => {
    const octets = [...bytes.subarray(i * 16, i * 16 + 16)].map((byte) => byte.toString(16).padStart(2, "0"));
    return `${(i * 16).toString(16).padStart(2, "0")}: ${octets.join(" ")}`;
  }).join("\n");
}

function cut(text: string): Text {
  const header: string[] = [];
  const capabilities: string[][] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("\tCapabilities:")) capabilities.push([]);
    (capabilities.at(-1) ?? header).push(line);
  }
  return { header, capabilities };
}
