/**
 * Whether an open device still answers. One that is gone reads as all ones (PCIe 6.0, section 2.3.2), but so
 * may a register.
 */
import { DeviceError, type PciDevice, type Region } from "../../src/device/device.ts";
import { isPciSpec } from "../../src/device/pci.ts";
import { Config, isSilentCommand } from "../../src/pci/config-offsets.ts";
import { wordCommand } from "../cli/remedy.ts";
import type { Place, Width } from "./place.ts";

type Opened = Pick<PciDevice, "spec" | "config" | "bars">;

const ALL_ONES = 0xffff_ffff;
/** Fewer bits than these are all ones too often to be worth further reads. */
const TELLING_BITS = 32;

/** For --help. */
export const SILENCE = `A device that has gone away reads as all ones. If a value is all ones, the Command register
is read, too. If at least 32 bits of a BAR were read and all are ones, the first words of that
BAR and of the lowest one are read as well.`;

/** Why configuration space says that the device does not answer; undefined if it answers. */
export function whySilent({ spec, config }: Pick<Opened, "spec" | "config">): string | undefined {
  if (!isSilentCommand(config.read16(Config.COMMAND))) return undefined;
  const back = isPciSpec(spec)
    ? `once it is back, ${wordCommand({ verb: "rescan", args: [addressOf(spec)] })} finds it again`
    : "look after its server";
  return `its configuration space reads as all ones: it no longer answers (link down, powered off, or being programmed); ${back}`;
}

/** The same for values read from one place, word by word. Reads more only if one of them is all ones. */
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

/**
 * Why the device's registers do not answer although its configuration space does, which may be another part
 * of the chip: the first words of this BAR and of the lowest one, where registers mostly are, are all ones.
 * Another BAR says nothing: memory that a server shared with a guest is still there after the server has
 * died.
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
  const more = isPciSpec(spec)
    ? `; ${wordCommand({ verb: "doctor", args: [addressOf(spec)] })} examines it`
    : "";
  return `its configuration space answers, but the first word of BAR${silent.join(" and BAR")} is all ones: what is behind it is dead, in reset or being programmed${more}`;
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

const addressOf = (spec: string) => spec.replace(/^(vfio|sysfs):/, "");

/** Throws DeviceError if the device does not answer. The answer follows all earlier writes, so they have arrived. */
export function checkPresent(device: Opened): void {
  const why = whySilent(device);
  if (why !== undefined) throw new DeviceError(`${device.spec}: ${why}`, { silent: true });
}
