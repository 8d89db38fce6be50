/** Prints --device help and --device NAME,help. */
import type { Arch } from "../../src/guest/arch.ts";
import { fetchQemu } from "../../src/guest/assets.ts";
import { knownDevices } from "../../src/guest/devices.ts";
import { deviceProperties, pciDevices } from "../../src/guest/qemu.ts";
import { wordCommand } from "../cli/remedy.ts";

/** Whether a device's spec asks for help. */
export const asksForHelp = (spec: string) => spec === "help" || spec.endsWith(",help");

/**
 * All devices, or the properties of one, as text. QEMU is fetched on first use.
 * @throws if QEMU has no such device
 */
export async function deviceHelp(arch: Arch, spec: string, log: (line: string) => void): Promise<string> {
  const tree = await fetchQemu(log);
  if (spec !== "help") return await deviceProperties(tree, arch, spec.slice(0, -",help".length));
  const row = (name: string, about: string) => `  ${name.padEnd(26)}${about}`.trimEnd();
  const others = (await pciDevices(tree, arch)).sort((a, b) => a.name.localeCompare(b.name));
  return [
    "Ready to use:",
    ...knownDevices.map(({ name, about }) => row(name, about)),
    row(
      "model:vp9",
      `the VP9 encoder's software model; ${wordCommand({ verb: "model", args: ["--help"] })} has its options`,
    ),
    row("vfio-user:/path.sock", "the device of the vfio-user server on that socket"),
    "",
    `QEMU's PCI devices for ${arch}; NAME,help lists the properties of one:`,
    ...others.map(({ name, description }) => row(name, description)),
    "",
  ].join("\n");
}
