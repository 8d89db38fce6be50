/** Names that are spelled like another one. */
import { folded } from "../../src/pci/decode/register-names.ts";

const MOST = 3;

/** The few of these that are nearest to a word, nearest first; empty if none is near. */
export function nearTo(word: string, names: readonly string[]): string[] {
  const wanted = folded(word);
  const most = Math.max(1, Math.floor(wanted.length / 3));
  return names
    .map((name) => {
      const own = folded(name);
      const within = wanted.length > 2 && (own.includes(wanted) || wanted.includes(own));
      return { name, steps: within ? Math.min(most, editSteps(wanted, own)) : editSteps(wanted, own) };
    })
    .filter(({ steps }) => steps <= most)
    .toSorted((a, b) => a.steps - b.steps)
    .slice(0, MOST)
    .map(({ name }) => name);
}

/** How many letters to insert, remove or replace to make one word of the other. */
function editSteps(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row.at(-1)!;
}
