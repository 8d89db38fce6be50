/** Whether an open device still answers. One that is gone reads as all ones (PCIe 6.0, section 2.3.2), as a register may. */
import { Config, isSilentCommand } from "../pci/config.ts";
import { DeviceError, type PciDevice, type Region } from "./device.ts";
import { isPciSpec } from "./pci.ts";

/** An open device, as far as it is asked. */
export type Opened = Pick<PciDevice, "spec" | "config" | "bars">;

const ALL_ONES = 0xffff_ffff;

/** Why configuration space says that the device does not answer; undefined where it answers. */
export function whySilent({ spec, config }: Pick<Opened, "spec" | "config">): string | undefined {
  if (!isSilentCommand(config.read16(Config.COMMAND))) return undefined;
  const back = isPciSpec(spec)
    ? `once it is back, bun run rescan.ts ${addressOf(spec)} finds it again`
    : "look after its server";
  return `its configuration space reads as all ones: it no longer answers (link down, powered off, or being programmed); ${back}`;
}

/**
 * Why the device's registers do not answer although its configuration space does, which may be another part of the chip:
 * the first words of this BAR and of the lowest one, where registers mostly are, are all ones. Memory in another BAR tells
 * nothing: where a server shared it with a guest, it is still there when the server has died.
 */
export function whyBarsSilent({ spec, bars }: Opened, space?: number): string | undefined {
  const silent: number[] = [];
  for (const bar of bars) {
    if (silent.length > 0 && bar.index !== space) continue;
    const word = firstWord(bar);
    if (word === undefined) continue;
    if (word !== ALL_ONES) return undefined;
    silent.push(bar.index);
  }
  if (silent.length === 0) return undefined;
  const more = isPciSpec(spec) ? `; bun run doctor.ts ${addressOf(spec)} examines it` : "";
  return `its configuration space answers, but the first word of BAR${silent.join(" and BAR")} is all ones: what is behind it is dead, in reset or being programmed${more}`;
}

/** Undefined where there is none, or it can't be reached in this way. */
function firstWord(bar: Region): number | undefined {
  if (bar.sizeBytes < 4) return undefined;
  try {
    return bar.read32(0);
  } catch (error) {
    if (error instanceof DeviceError) return undefined;
    throw error;
  }
}

const addressOf = (spec: string) => spec.replace(/^(vfio|sysfs):/, "");

/** Throws DeviceError where the device does not answer. The answer comes after all writes made before, so they have arrived. */
export function checkPresent(device: Opened): void {
  const why = whySilent(device);
  if (why !== undefined) throw new DeviceError(`${device.spec}: ${why}`, { silent: true });
}
