/** Which device encodes, and what to say of it when nobody chose it. */
import { findFunctions } from "../../src/pci/bus/functions.ts";
import { listIommus } from "../../src/pci/bus/iommu.ts";
import { PCI_ID } from "../../src/vp9/contract/registers.ts";
import { wordCommand } from "../cli/remedy.ts";
import { UsageError } from "../cli/usage-error.ts";

export interface ChosenDevice {
  readonly spec: string;
  /** Empty where it was named. */
  readonly why: string;
}

/** Throws UsageError: a codec for a device that has its own. */
export function chooseDevice(wanted: string | undefined, codec: string | undefined): ChosenDevice {
  const query = codec === undefined ? "" : `?codec=${codec}`;
  if (wanted !== undefined) {
    if (codec !== undefined && wanted !== "model:vp9")
      throw new UsageError(`--codec chooses the software model's codec; ${wanted} has its own`);
    return { spec: wanted + query, why: "" };
  }
  const [card] = codec === undefined ? findFunctions(PCI_ID) : [];
  if (card !== undefined) return { spec: card, why: `found a card, ${card}; using it` };
  const why = codec === undefined ? "no card found" : "a codec was chosen";
  return { spec: `model:vp9${query}`, why: `${why}; using the software model` };
}

/** Why frames take the slow way, and how they would not. */
export function windowHint(device: string): string {
  const bind = { verb: "bind", args: [device] };
  const can = listIommus().length > 0 ? `; after ${wordCommand(bind)} they go by DMA` : "";
  return `, frames through its window${can}`;
}
