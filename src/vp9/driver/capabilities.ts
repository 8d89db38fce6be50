/** What a device must be able to do, by the names of the bits in CAPS. */
import { type PixelFormat, pixelFormats, profileOf } from "../../pixels/pixel-format.ts";
import type { registers } from "../contract/registers.ts";

type Capability = keyof typeof registers.CAPS.fields;

/** What a format needs beyond the 8-bit 4:2:0 that every device takes. */
export function formatCapabilities(format: PixelFormat): readonly Capability[] {
  const { bits, chromaShift } = pixelFormats[format];
  const [x, y] = chromaShift;
  const needed: Capability[] = profileOf(format) % 2 === 0 ? [] : [x ? "I422" : y ? "I440" : "I444"];
  if (bits > 8) needed.push(bits === 10 ? "BITS_10" : "BITS_12");
  return needed;
}
