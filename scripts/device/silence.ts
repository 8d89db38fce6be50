/** Whether the values that were read say that the device has gone away. */
import type { PciDevice } from "../../src/device/device.ts";
import { whyBarsSilent, whySilent } from "../../src/device/silence.ts";
import type { Width } from "../../src/registers/table.ts";
import { wordRemedies } from "../cli/remedy.ts";
import type { Place } from "./place.ts";

/** Fewer bits than these are all ones too often to be worth further reads. */
const TELLING_BITS = 32;

/** For --help. */
export const SILENCE = `A device that has gone away reads as all ones. If a value is all ones, the Command register
is read, too. If at least 32 bits of a BAR were read and all are ones, the first words of that
BAR and of the lowest one are read as well.`;

/**
 * Why values read from one place, word by word, say that the device does not answer, and what helps; undefined if it
 * answers. Reads more only if one of them is all ones.
 */
export function whySilentAt(
  device: Pick<PciDevice, "spec" | "config" | "bars">,
  { space }: Pick<Place, "space">,
  width: Width,
  values: readonly bigint[],
): string | undefined {
  const ones = (1n << BigInt(width)) - 1n;
  if (!values.includes(ones)) return undefined;
  const telling =
    space !== "config" && values.length * width >= TELLING_BITS && values.every((value) => value === ones);
  const why = whySilent(device) ?? (telling ? whyBarsSilent(device, space) : undefined);
  return why && wordRemedies(why.text, why.remedies);
}
