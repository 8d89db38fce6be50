/** What this floor bounds: tables, and the descriptions that they are imported from. test/limits.test.ts names a test that exceeds each. */

/** Bytes of a description: those of whole processors have 10 MB. A larger one is a DescriptionError. */
export const MAX_DESCRIPTION_BYTES = 64 * 2 ** 20;
/** Elements within elements of a description: both formats need about 10. A deeper one is a DescriptionError. */
export const MAX_DEPTH = 256;
/** Characters of a number: no register has so many digits. A longer one counts as no number. */
export const MAX_DIGITS = 80;
/** Bits of a register, so that no value takes much memory. A wider one is left out, with a note. */
export const MAX_BITS = 65_536;
/** Elements that a description gives an array, before arrays are merged or unrolled. More count as no number. */
export const MAX_COUNT = 2 ** 32;
/** Names of an array's elements. From a longer list the elements are counted instead. */
export const MAX_LABELS = 4096;
/** Registers that an array may become where a table has no array for it. With more it is left out, with a note. */
export const MAX_UNROLLED = 256;
/** Registers of one array of a table: more than any BAR's worth of them only takes memory. A longer one is a mistake of the table. */
export const MAX_IN_ARRAY = 65_536;
/** Elements of all arrays of an imported table. What comes after them is left out, with a note. */
export const MAX_IN_ARRAYS = 262_144;
