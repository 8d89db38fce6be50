/**
 * Writes a message to standard error, so that it stays out of a pipe's result. The library is loaded only
 * when there is a message, so that silent verbs start faster.
 */
export async function say(kind: "info" | "error", text: string): Promise<void> {
  const { createConsola } = await import("consola");
  // The level is set because consola is silent when NODE_ENV is "test". No clock on a terminal: nothing is a
  // log here.
  createConsola({
    level: 3,
    formatOptions: { date: false },
    stdout: process.stderr,
    stderr: process.stderr,
  })[kind](text);
}
