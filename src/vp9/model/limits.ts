/** What this floor bounds. test/limits.test.ts names a test that exceeds each. */

/** Pieces of frames that the endpoint looks up in one turn: a few milliseconds. Then messages are answered, and another turn follows. */
export const TURN_PIECES = 4096;
/**
 * Pieces of frames that submissions hold: a submission may name 8,192, and a ring 1,024 submissions. With so many, further entries
 * stay in their ring until the codec has finished some.
 */
export const HELD_PIECES = 65_536;
