/**
 * Whether an open device still answers. One that has gone away reads as all ones (PCIe 6.0, section 2.3.2), but so may a
 * register.
 */
import { Config, isSilentCommand } from "../pci/config-offsets.ts";
import type { Advice } from "../remedy/remedy.ts";
import { DeviceError, type PciDevice, type Region } from "./device.ts";
import { addressOf } from "./pci.ts";

type Opened = Pick<PciDevice, "spec" | "config" | "bars">;

const ALL_ONES = 0xffff_ffff;

/** Why configuration space says that the device does not answer; undefined if it answers. */
export function whySilent({ spec, config }: Pick<Opened, "spec" | "config">): Advice | undefined {
  if (!isSilentCommand(config.read16(Config.COMMAND))) return undefined;
  const text =
    "its configuration space reads as all ones: it no longer answers (link down, powered off, or being programmed)";
  const address = addressOf(spec);
  if (address === undefined) return { text: `${text}; check its server`, remedies: [] };
  const does = "finds it again once it is back";
  return { text, remedies: [{ verb: "rescan", args: [address], does }] };
}

/**
 * Why the device's registers do not answer although its configuration space does, which may be another part
 * of the chip: the first words of this BAR and of the lowest one, where registers mostly are, are all ones.
 * Another BAR says nothing: memory that a server shared with a guest is still there after the server has
 * died.
 */
export function whyBarsSilent({ spec, bars }: Opened, space?: number): Advice | undefined {
  const silent: number[] = [];
  for (const bar of bars) {
    if (silent.length > 0 && bar.index !== space) continue;
    const word = firstWord(bar);
    if (word === undefined) continue;
    if (word !== ALL_ONES) return undefined;
    silent.push(bar.index);
  }
  if (silent.length === 0) return undefined;
  const text = `its configuration space answers, but the first word of BAR${silent.join(" and BAR")} is all ones: the logic behind it is dead, in reset or being programmed`;
  const address = addressOf(spec);
  if (address === undefined) return { text, remedies: [] };
  return { text, remedies: [{ verb: "doctor", args: [address], does: "examines it" }] };
}

/** Undefined if there is none, or it can't be read this way. */
function firstWord(bar: Region): number | undefined {
  if (bar.sizeBytes < 4) return undefined;
  try {
    return bar.read32(0);
  } catch (error) {
    if (error instanceof DeviceError) return undefined;
    throw error;
  }
}

/** Throws DeviceError if the device does not answer. The answer follows all earlier writes, so they have arrived. */
export function checkPresent(device: Opened): void {
  const why = whySilent(device);
  if (why) throw new DeviceError(`${device.spec}: ${why.text}`, { silent: true, remedies: why.remedies });
}
