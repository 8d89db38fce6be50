/** Lays out text for --help, in lines that fit the narrowest terminal in use. */

/** Characters in a line. */
const COLUMNS = 80;
/** Widest left column; narrower if all names are shorter. */
const WIDEST_LEFT = 24;

/** Breaks a paragraph between words. A word longer than a line gets its own line. */
function wrapped(text: string, columns: number): string[] {
  const lines = [""];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const line = lines.at(-1)!;
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= columns) lines[lines.length - 1] += ` ${word}`;
    else lines.push(word);
  }
  return lines;
}

/**
 * Refills paragraphs. Indented lines stay as they are, because examples are copied from the text. A line that
 * ends in a colon is not joined with the next one, nor one that begins with a topic ("--json: ...", "Exit
 * codes: ...") with the one before.
 */
export function filled(text: string): string {
  const paragraphs: string[] = [];
  let open = false;
  for (const line of text.split("\n")) {
    const isProse = line !== "" && !line.startsWith(" ");
    if (isProse && open && !/^(--[a-z]+|[A-Z][a-z]+( [a-z]+)?): /.test(line))
      paragraphs[paragraphs.length - 1] += ` ${line}`;
    else paragraphs.push(line);
    open = isProse && !line.endsWith(":");
  }
  return paragraphs
    .flatMap((paragraph) => (paragraph.startsWith(" ") ? [paragraph] : wrapped(paragraph, COLUMNS)))
    .join("\n");
}

/** Names on the left, explanations on the right, or below a name that is too long. */
export function twoColumns(rows: readonly (readonly [string, string])[]): string {
  const indent = 2;
  const gap = 2;
  const left = Math.min(WIDEST_LEFT, Math.max(...rows.map(([name]) => name.length)));
  const at = indent + left + gap;
  return rows
    .flatMap(([name, text]) => {
      const lines = wrapped(text, COLUMNS - at).map((line) => " ".repeat(at) + line);
      const head = " ".repeat(indent) + name;
      return name.length > left
        ? [head, ...lines]
        : [head.padEnd(at) + lines[0]!.trimStart(), ...lines.slice(1)];
    })
    .join("\n");
}
