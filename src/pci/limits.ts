/** What this floor bounds. test/limits.test.ts names a test that exceeds each. */

/**
 * Milliseconds for a driver to release a function: it may flush its caches first. Then BusError that names the function's users;
 * the kernel goes on waiting for them.
 */
export const RELEASE_MS = 30_000;
/**
 * Milliseconds for what a rescan looks for, if the caller gives none: links train within one second, slow firmware takes a few. Then
 * the function counts as gone.
 */
export const RESCAN_MS = 10_000;
/** Bytes of pci.ids, which is read whole: it has 1.6 MB. A larger file counts as missing, and nothing has a name. */
export const MAX_NAMES_BYTES = 64 * 2 ** 20;
/**
 * Bytes of a file with dumps of configuration space, which is read whole: 16 KB for each function, so 4096 functions. A larger one
 * is a DumpError.
 */
export const MAX_DUMP_BYTES = 64 * 2 ** 20;
/** Bytes of a binding record: it has two names. A longer one is not read, and a BusError. */
export const MAX_RECORD_BYTES = 4096;
/**
 * Milliseconds that a bind without root waits for udev to give its user the function's node. Then the function is bound all the
 * same, and opening it says what is missing.
 */
export const NODE_MS = 5000;
/** Milliseconds for a program that puts a set-up into force, such as groupadd. Then it is ended, and a BusError. */
export const PROGRAM_MS = 60_000;
