/**
 * udev's rules of a set-up: udev(7). They apply when a device appears, also at boot, where udev is told of all devices
 * again. A function counts only at its address and with its ids, so that no other card in its slot is given away.
 */
import { DEFAULT_DRIVER } from "../bus/binding.ts";
import { GROUP_FOLDER } from "../bus/binding-record.ts";
import { groupModes } from "./rights.ts";
import type { Setup, SetupFunction } from "./setup-record.ts";

const hex = (id: number) => `0x${id.toString(16).padStart(4, "0")}`;
const rule = (...parts: string[]) => parts.join(", ");

/** The lines of the rules. */
export function udevRules({ functions, group, bindAtBoot }: Setup): string[] {
  // By chgrp: udev 258 does not take a group that is no system group for GROUP=.
  const node = [`MODE="${groupModes.node}"`, `RUN+="/bin/chgrp ${group} $devnode"`];
  const giving = (mode: string, ...files: string[]) => [
    `RUN+="/bin/chgrp ${group} ${files.join(" ")}"`,
    `RUN+="/bin/chmod ${mode} ${files.join(" ")}"`,
  ];
  return [
    "",
    "# To open: the node of a function's IOMMU group, its own node, and iommufd.",
    ...functions.map(({ address, vendor, device }) =>
      rule(
        'SUBSYSTEM=="vfio", KERNEL=="[0-9]*"',
        `TEST=="/sys/kernel/iommu_groups/%k/devices/${address}"`,
        `ATTR{[pci/${address}]vendor}=="${hex(vendor)}", ATTR{[pci/${address}]device}=="${hex(device)}"`,
        ...node,
      ),
    ),
    ...functions.map(({ address, vendor, device }) =>
      rule(
        `SUBSYSTEM=="vfio-dev", KERNELS=="${address}"`,
        `ATTRS{vendor}=="${hex(vendor)}", ATTRS{device}=="${hex(device)}"`,
        ...node,
      ),
    ),
    rule('SUBSYSTEM=="misc", KERNEL=="iommu"', ...node),
    "",
    `# To bind and to release: which driver the function may have, and ${DEFAULT_DRIVER}'s own switches.`,
    ...functions.map((of) =>
      rule('ACTION!="remove"', ...isFunction(of), ...giving(groupModes.override, "%S%p/driver_override")),
    ),
    rule(
      `ACTION!="remove", SUBSYSTEM=="drivers", DEVPATH=="/bus/pci/drivers/${DEFAULT_DRIVER}"`,
      ...giving(groupModes.switch, "%S%p/bind", "%S%p/unbind"),
      `RUN+="/usr/bin/install -d -m ${groupModes.folder} -g ${group} ${GROUP_FOLDER}"`,
    ),
    ...(bindAtBoot ? functions.flatMap(bindingRules) : []),
  ];
}

const isFunction = ({ address, vendor, device }: SetupFunction) => [
  `SUBSYSTEM=="pci", KERNEL=="${address}"`,
  `ATTR{vendor}=="${hex(vendor)}", ATTR{device}=="${hex(device)}"`,
];

/** With driver_override, the probe finds no other driver; if the driver is not loaded yet, it takes the function when it is. */
function bindingRules(of: SetupFunction): string[] {
  const added = ['ACTION=="add"', ...isFunction(of)];
  return [
    "",
    `# To bind when it appears: ${of.address}.`,
    rule(...added, `ATTR{driver_override}="${DEFAULT_DRIVER}"`),
    rule(...added, `DRIVER=="?*", DRIVER!="${DEFAULT_DRIVER}"`, 'ATTR{driver/unbind}="%k"'),
    rule(...added, 'ATTR{subsystem/drivers_probe}="%k"'),
  ];
}
