/** The end of what a guest and QEMU say, for errors to show. */

import { MAX_KEPT_CHARACTERS, MAX_SHOWN_LINES } from "./limits.ts";

export interface KeptText {
  text(): string;
  /** Resolves at the end of the stream. */
  readonly done: Promise<void>;
  /** Resolves with the first match of a pattern, if there is one. */
  until(pattern: RegExp): Promise<string>;
}

/** Keeps the end of a text stream, without anything that would move a terminal's cursor. */
export function keepText(
  stream: ReadableStream<Uint8Array>,
  onText: (text: string) => unknown = () => {},
): KeptText {
  let kept = "";
  const waiting: { pattern: RegExp; resolve: (text: string) => void }[] = [];
  const done = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      const text = plain(decoder.decode(chunk, { stream: true }));
      kept = (kept + text).slice(-MAX_KEPT_CHARACTERS);
      onText(text);
      for (const { pattern, resolve } of waiting) {
        const [match] = pattern.exec(kept) ?? [];
        if (match !== undefined) resolve(match);
      }
    }
  })();
  return {
    text: () => kept,
    done,
    until: (pattern) => new Promise((resolve) => waiting.push({ pattern, resolve })),
  };
}

/** Text without escape sequences and control characters (ECMA-48), except newline and tab. */
const plain = (text: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern looks for them
  text.replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])/g, "").replace(/[^\P{Cc}\n\t]/gu, "");

/** The title and the text's last lines, indented; `ifNone` if there are none. */
export function lastLines(title: string, text: string, ifNone?: string): string[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0) return ifNone === undefined ? [] : [ifNone];
  return [title, ...lines.slice(-MAX_SHOWN_LINES).map((line) => `  ${line}`)];
}
