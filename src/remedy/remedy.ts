/** What helps, as data: src/ knows the toolkit's verbs by name, scripts/cli/remedy.ts how they are typed. */

/** A command of this toolkit that mends something, or explains it. */
export interface Remedy {
  /** The verb's name: "bind". */
  readonly verb: string;
  /** Its words and options: ["0000:00:09.0", "--force"]. */
  readonly args: readonly string[];
  /** What follows it in a sentence: "binds it all the same". Absent where the text before it says what it is for. */
  readonly does?: string;
}

/** Why something is as it is, and what helps. */
export interface Advice {
  readonly text: string;
  readonly remedies: readonly Remedy[];
}

/** How an error is made: its remedies are those of its cause where none are given. */
export interface RemedyOptions extends ErrorOptions {
  readonly remedies?: readonly Remedy[];
}

/** The remedies that an error carries; none for any other value. */
export function remediesOf(error: unknown): readonly Remedy[] {
  return error instanceof Error && "remedies" in error ? (error.remedies as readonly Remedy[]) : [];
}
