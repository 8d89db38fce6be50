/** What this floor bounds. test/limits.test.ts names a test that exceeds each. */

/** Milliseconds for Debian's archive to answer at all: apt alone would retry for minutes. Then CodecError. */
export const REACH_MS = 5_000;
/** Milliseconds to fetch libvpx from it: its index has 10 MB. Then CodecError. */
export const FETCH_MS = 60_000;
/**
 * Codec threads at a time; all but one are finishing work of streams that have ended, which nothing can interrupt. A stream that
 * starts beyond that waits for one of them.
 */
export const MAX_THREADS = 4;
