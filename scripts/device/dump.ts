import { hex } from "../cli/number.ts";
import type { Width } from "./place.ts";

/** So many words stand one on a line, with 0x; more of them as in a hex dump. */
const FEW = 4;
const LINE_BYTES = 16;

/** Words for people: their offset and value, a line each; or 16 bytes a line where there are many. */
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
