import type { Width } from "../../src/registers/table.ts";
import { hex } from "../cli/number.ts";

/** Up to this many words are shown one per line, with 0x; more as a hex dump. */
const FEW = 4;
const LINE_BYTES = 16;

/** Words as text: an offset and a value per line, or 16 bytes per line if there are many. */
export function dumpWords(offset: number, width: Width, words: readonly bigint[]): string {
  const perLine = words.length <= FEW ? 1 : LINE_BYTES / (width / 8);
  const lines: string[] = [];
  for (let at = 0; at < words.length; at += perLine) {
    const line = words.slice(at, at + perLine).map((word) => hex(word, width));
    const shown = perLine === 1 ? line : line.map((word) => word.slice(2));
    lines.push(`${hex(offset + (at * width) / 8, 32)}  ${shown.join(" ")}`);
  }
  return lines.join("\n");
}
