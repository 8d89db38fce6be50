/** Sessions of WebCodecs' VideoEncoder, as they are recorded, and the pictures that are encoded in them. */

import type { Size } from "../../src/pixels/pixel-format.ts";

export interface Recording {
  /** Its name and major version. */
  readonly browser: string;
  readonly sessions: readonly Session[];
}

export interface Session {
  readonly name: string;
  readonly calls: readonly Call[];
  readonly outputs: readonly Output[];
  readonly errors: readonly string[];
}

export type Call =
  | { readonly configure: Readonly<Record<string, unknown>> }
  | {
      readonly encode: { readonly timestamp: number; readonly duration: number };
      /** Which picture. */
      readonly index: number;
      readonly options?: Readonly<Record<string, unknown>>;
    }
  /** How many chunks there were at its end. */
  | { readonly flush: number }
  | { readonly reset: number };

export interface Output {
  readonly type: "key" | "delta";
  readonly timestamp: number;
  readonly duration: number;
  readonly byteLength: number;
  readonly decoderConfig?: Readonly<Record<string, unknown>>;
  readonly svc?: { readonly temporalLayerId: number };
}

/** I420: a bar over a ramp, both of which move. */
export function picture(index: number, { width, height }: Size): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array((width * height * 3) / 2).fill(128);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) bytes[y * width + x] = (x + y * 2 + index * 5) & 0x7f;
  bytes.fill(230, index * width, (index + 8) * width);
  return bytes;
}
