/** Imported only for its check: an older Bun fails in bun:ffi with an unhelpful message. */

export {};

/** The oldest supported version, the same as in package.json's engines. */
const NEEDED = "1.4.4";

if (Bun.semver.order(Bun.version, NEEDED) < 0) {
  // A verb prints the message alone, without lines of this file.
  Error.stackTraceLimit = 0;
  throw new Error(
    `vfiokit needs Bun ${NEEDED} or later, and ${process.execPath} is Bun ${Bun.version}. In a clone, npm install gets one that is new enough, and npx bun runs it; elsewhere npm install bun@${NEEDED} does, or bun upgrade.`,
  );
}
