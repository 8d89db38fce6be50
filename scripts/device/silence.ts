/** Whether what was read of a device is what one reads that is gone. */
import { type Opened, whyBarsSilent, whySilent } from "../../src/device/silence.ts";
import type { Place, Width } from "./place.ts";

/** Fewer bits than these are all ones too often to ask further for it. */
const TELLING_BITS = 32;

/** For --help. */
export const SILENCE = `A device that is gone reads as all ones. Where such a value comes, the Command register is
read, too; and where at least 32 bits of a BAR and nothing else came, the first word of that BAR
and of the lowest one.`;

/**
 * Why what was read of one place, width by width, says that the device does not answer; undefined where it answers.
 * Further reads are made only where all ones are among it.
 */
export function whySilentAt(
  device: Opened,
  { space }: Pick<Place, "space">,
  width: Width,
  values: readonly bigint[],
): string | undefined {
  const ones = (1n << BigInt(width)) - 1n;
  if (!values.includes(ones)) return undefined;
  const why = whySilent(device);
  if (why !== undefined || space === "config") return why;
  const telling = values.length * width >= TELLING_BITS && values.every((value) => value === ones);
  return telling ? whyBarsSilent(device, space) : undefined;
}
