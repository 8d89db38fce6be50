/** The spread of several rounds of one measurement. */
export interface Spread {
  readonly least: number;
  /** The value that a quarter of the rounds are below. */
  readonly lower: number;
  readonly median: number;
  /** The value that a quarter of the rounds are above. */
  readonly upper: number;
  readonly most: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number) => {
    const place = (sorted.length - 1) * part;
    const below = sorted[Math.floor(place)]!;
    return below + (sorted[Math.ceil(place)]! - below) * (place % 1);
  };
  return { least: at(0), lower: at(0.25), median: at(0.5), upper: at(0.75), most: at(1) };
}

/** "1.234 (1.200 to 1.300)", the least and the most in brackets. */
export function spreadText({ median, least, most }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${least.toFixed(digits)} to ${most.toFixed(digits)})`;
}
