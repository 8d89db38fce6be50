/** What this floor bounds. test/limits.test.ts names a test that exceeds each. */

/**
 * Seconds that one program may run: the longest downloads 100 MB, which takes 20 minutes at 100 kB/s. Then it is killed, and an
 * Error says so. A caller's own limit may end it earlier.
 */
export const RUN_S = 1800;
/**
 * Seconds that a process waits for another one that fetches the same entry of the cache, which runs a few programs. Then an Error
 * names the lock.
 */
export const LOCK_S = 1800;
/** Bytes that a program may write to standard output: module files have 10 MB, lists of packages 5. Then it is killed: Error. */
export const MAX_OUTPUT_BYTES = 256 * 2 ** 20;
/** Characters kept of what a program writes to standard error, from the end: an Error shows them. Earlier ones are dropped. */
export const MAX_ERROR_CHARACTERS = 65_536;
