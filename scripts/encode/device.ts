/** Chooses the device that encodes, and says why if the user did not choose it. */
import { isPciSpec, PHYSICAL } from "../../src/device/pci.ts";
import { findFunctions } from "../../src/pci/bus/functions.ts";
import { listIommus } from "../../src/pci/bus/iommu.ts";
import { PCI_ID } from "../../src/vp9/contract/registers.ts";
import { withAddress } from "../bus/address.ts";
import { wordCommand } from "../cli/remedy.ts";
import { UsageError } from "../cli/usage-error.ts";

export interface ChosenDevice {
  readonly spec: string;
  /** Empty if the user named it. */
  readonly why: string;
}

/** With `dma` "physical" as openDevice's option. Throws UsageError for what the device can't have. */
export function chooseDevice(
  wanted: string | undefined,
  codec: string | undefined,
  dma: "physical" | undefined,
): ChosenDevice {
  const chosen = choose(wanted, codec);
  if (dma === undefined) return chosen;
  if (!isPciSpec(chosen.spec))
    throw new UsageError(
      `--dma physical is for functions of this machine's bus; ${chosen.spec} needs no physical addresses`,
    );
  return { ...chosen, spec: chosen.spec.replace(PHYSICAL, "") + PHYSICAL };
}

function choose(wanted: string | undefined, codec: string | undefined): ChosenDevice {
  const query = codec === undefined ? "" : `?codec=${codec}`;
  if (wanted !== undefined) {
    if (codec !== undefined && wanted !== "model:vp9")
      throw new UsageError(`--codec chooses the software model's codec; ${wanted} has its own`);
    return { spec: withAddress(wanted) + query, why: "" };
  }
  const [card] = codec === undefined ? findFunctions(PCI_ID) : [];
  if (card !== undefined) return { spec: card, why: `found a card, ${card}; using it` };
  const why = codec === undefined ? "no card found" : "a codec was chosen";
  return { spec: `model:vp9${query}`, why: `${why}; using the software model` };
}

/** What is worth knowing of a device whose DMA no IOMMU restricts. */
export function dmaNotes(spec: string): string[] {
  if (!spec.endsWith(PHYSICAL)) return [];
  return ["DMA by physical addresses: the device can write to any memory of this machine"];
}

/** Says that frames take the slow path, and how to avoid it. */
export function windowHint(device: string): string {
  const bind = { verb: "bind", args: [device] };
  const can =
    listIommus().length > 0
      ? `; to use DMA, first: ${wordCommand(bind)}`
      : "; with a device that you trust with all memory, --dma physical works without an IOMMU";
  return `, frames through its window${can}`;
}
