/** What this floor bounds: every number in a file's header, before anything is allocated for it. test/limits.test.ts names a test that exceeds each. */

/** Pixels of a side: the largest of any VP9 level (6.2 allows 16384). A larger one is a MediaError. */
export const MAX_SIDE = 16384;
/** Either term of a pixel aspect: y4m files are read up to this. A larger one is a MediaError. */
export const MAX_ASPECT_TERM = 999_999_999;
/** Either term of a frame rate: libvpx accepts no larger ones in a time base. A larger one is a MediaError. */
export const MAX_RATE_TERM = 1_000_000_000;
/**
 * Bytes of a y4m's header or frame line: programs write 100, and some a comment. A longer one is a MediaError: the line has no end,
 * so this is no y4m.
 */
export const Y4M_LINE_LIMIT = 4096;
