/** What lspci of the installed pciutils makes of configuration spaces, and ours, cut up for comparison. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeConfig } from "../../src/pci/decode/decode.ts";
import { describe } from "../../src/pci/decode/describe.ts";
import { openNames } from "../../src/pci/decode/names.ts";

/** A function's text: lines of the header, then those of each capability, first line included. */
export interface Text {
  readonly header: readonly string[];
  readonly capabilities: readonly (readonly string[])[];
}

export interface Space {
  /** Its bytes: 64, 256 or 4096. */
  readonly bytes: Uint8Array;
  /** What it is, for the message when a comparison fails. */
  readonly name: string;
}

/**
 * Both texts of each space. All are given to lspci in one file, each as the only function of a bus of its own: it hides
 * registers of functions that are not the first of theirs.
 */
export function texts(spaces: readonly Space[]): { name: string; theirs: Text; ours: Text }[] {
  const addressOf = (i: number) =>
    `${(i >> 8).toString(16).padStart(4, "0")}:${(i & 0xff).toString(16).padStart(2, "0")}:00.0`;
  const dump = spaces.map(({ bytes }, i) => `${addressOf(i)} space\n${hexRows(bytes)}\n`).join("\n");
  const blocks = lspci(dump).trim().split("\n\n");
  if (blocks.length !== spaces.length)
    throw new Error(`lspci shows ${blocks.length} of ${spaces.length} functions`);
  const names = openNames();
  return spaces.map(({ bytes, name }, i) => ({
    name,
    theirs: cut(blocks[i]!.replace(/^(\S+:)?\S+ /, "")),
    ours: cut(describe(decodeConfig(bytes), names)),
  }));
}

/** Versions differ in their words; the differences that the tests list are those from this one, Debian 12's. */
const VERSION = "3.9.0";

function lspci(dump: string): string {
  if (!Bun.which("lspci")) throw new Error("these tests need lspci: apt-get install pciutils");
  const version = Bun.spawnSync(["lspci", "--version"]).stdout.toString().trim().split(" ").at(-1);
  if (version !== VERSION) throw new Error(`these tests need lspci ${VERSION}, and this is ${version}`);
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-"));
  try {
    const file = join(folder, "dump");
    writeFileSync(file, dump);
    const { exitCode, stdout, stderr } = Bun.spawnSync(["lspci", "-F", file, "-vvv"], { stderr: "pipe" });
    if (exitCode !== 0) throw new Error(`lspci ended with ${exitCode}: ${stderr}`);
    return stdout.toString();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function hexRows(bytes: Uint8Array): string {
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
