/** What this floor bounds. test/limits.test.ts names a test that exceeds each. */

/**
 * Milliseconds for a frame, a flush or the start of a stream, if openEncoder is given no time limit: libvpx takes a second for the
 * largest frames. Then EncoderError, or a recovery if there is one.
 */
export const FRAME_MS = 10_000;
/** Recoveries of an encoder, if openEncoder is given no number. The failure after them is the encoder's. */
export const RECOVERIES = 3;
/**
 * Milliseconds for a lost device to come back, if openEncoder is given no other: a card that gets another image takes some seconds.
 * Then EncoderError.
 */
export const RECOVER_MS = 30_000;
/** Frames that may be under way at once: the largest ring has one place more, which a flush needs. More: RangeError. */
export const MAX_IN_FLIGHT = 1023;
/** Chunks of encodeFrames that wait for their consumer. Then frames are held back, too. */
export const MAX_CHUNKS = 64;
