/**
 * Says something on standard error, where the result of a pipe does not go. The library is loaded when there is
 * something to say, so that a verb that has nothing to say starts without it.
 */
export async function say(kind: "info" | "error", text: string): Promise<void> {
  const { createConsola } = await import("consola");
  // A level of its own: consola would keep quiet where NODE_ENV is "test". No clock on a terminal: nothing is a log here.
  createConsola({
    level: 3,
    formatOptions: { date: false },
    stdout: process.stderr,
    stderr: process.stderr,
  })[kind](text);
}
