/** Imported for its check alone: an older Bun fails in bun:ffi, in words that help nobody. */

export {};

/** The oldest that vfiokit is made for; package.json's engines say the same. */
const NEEDED = "1.4.4";

if (Bun.semver.order(Bun.version, NEEDED) < 0) {
  // The message is all: a verb shall not print this file's lines, too.
  Error.stackTraceLimit = 0;
  throw new Error(
    `vfiokit needs Bun ${NEEDED} or later, and ${process.execPath} is Bun ${Bun.version}. In a clone, npm install brings one that fits, and npx bun runs it; elsewhere npm install bun@${NEEDED} does, or bun upgrade.`,
  );
}
