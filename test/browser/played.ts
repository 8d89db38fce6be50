/** What page/play.ts finds. */
export interface Played {
  /** Seconds; infinite, which JSON has as null, if the file doesn't say. */
  readonly duration: number | null;
  /** Displayed size in pixels, with the pixels' aspect applied. */
  readonly size: readonly [number, number];
  /** Seconds that were sought, and the number and the grey of the frame shown then. */
  readonly sought: readonly { readonly time: number; readonly frame: number; readonly grey: number }[];
  /** The numbers of the frames shown while it played from its begin to its end. */
  readonly frames: readonly number[];
  readonly seekableTo: number;
}
