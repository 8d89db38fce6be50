/** A row of the table in docs/webcodecs.md: a test of web-platform-tests, and what becomes of it here. */
import { type EncoderConfig, openEncoder, type RawFrame } from "../../../../src/index.ts";
import { frameSizeBytes } from "../../../../src/media/video.ts";

interface Test {
  /** In web-platform-tests' webcodecs/. */
  readonly file: string;
  readonly test: string;
  /** How many variants of the test the row is about, and which. Default: the test has none. */
  readonly variants?: readonly string[];
}

export type Row = Test &
  (
    | {
        readonly outcome: "passes";
        /** What had to be changed beside the rules that docs/webcodecs.md has for all. */
        readonly why?: string;
        /** The test, ported. */
        readonly run: () => Promise<void>;
      }
    | {
        readonly outcome: "differs";
        readonly why: string;
        /** What happens here instead. */
        readonly run: () => Promise<void>;
      }
    | { readonly outcome: "does not apply"; readonly why: string }
  );

/** Where a test has VP8. */
export const VP9 = "vp09.00.10.08";

/** Microseconds as ticks, for the tests whose times rise by one. */
export const MICROSECONDS = { num: 1, den: 1_000_000 } as const;

/** A grey picture with a bright bar, where it is depends on the time. */
export function createFrame(width: number, height: number, timestamp: number, duration?: number): RawFrame {
  const data = new Uint8Array(frameSizeBytes({ width, height })).fill(128);
  const bar = timestamp % height;
  data.fill(220, bar * width, Math.min(bar + 8, height) * width);
  return { data, timestamp, ...(duration !== undefined && { duration }) };
}

/** An encoder that must give no chunk and no error. */
export function quiet(): ReturnType<typeof openEncoder> & Disposable {
  const unexpected = (what: string) => () => {
    throw new Error(`unexpected ${what}`);
  };
  return openEncoder({ output: unexpected("output"), error: unexpected("error") });
}

/** Settings for configs that a test gives as WebCodecs has them, with members that ours has not. */
export function asConfig(config: object): EncoderConfig {
  return config as EncoderConfig;
}
