/** Judges one function: can it be driven from user space as it is? Reads no facts itself. */

import { commandBits } from "../pci/bus/enable.ts";
import { FUNCTIONS, ResourceFlag } from "../pci/bus/functions.ts";
import { isVfioDriver } from "../pci/bus/group.ts";
import { describeHolder } from "../pci/bus/holders.ts";
import { isSilent } from "../pci/bus/presence.ts";
import type { Remedy } from "../remedy/remedy.ts";
import { type Finding, type Fix, type FunctionFacts, finding } from "./facts.ts";

/** BAR 0 to 5; the ROM does not matter. */
const BARS = 6;

/** One finding per check, the most important first. */
export function examineFunction(facts: FunctionFacts): Finding[] {
  return [
    link(facts),
    power(facts),
    driver(facts),
    override(facts),
    use(facts),
    group(facts),
    groupNode(facts),
    addresses(facts),
    decode(facts),
    busMaster(facts),
    resourceFiles(facts),
  ];
}

function link({ function: { address, physicalFunction }, config, registers }: FunctionFacts): Finding {
  const check = "link";
  const rescan: Remedy = { verb: "rescan", args: [physicalFunction ?? address] };
  if (config === undefined) return finding(check, "not applicable", "configuration space can't be read");
  if (isSilent(config))
    return finding(
      check,
      "problem",
      "it reads as all ones: the link is down, or the device has gone away, is off or is being programmed",
      rescan,
    );
  if (registers === undefined) return finding(check, "ok", "its configuration space answers");
  if (!registers.silent)
    return finding(check, "ok", `it answers: configuration space, and region ${registers.region}`);
  return finding(
    check,
    "problem",
    `its configuration space answers, but the first word of region ${registers.region} is all ones: the logic behind it is dead, in reset or being programmed`,
    "bring that back (its program, image or power), then ",
    rescan,
  );
}

/**
 * A driver wakes the function up when it uses it, and the bridges above it too. Nobody does so without one, or with uio_pci_generic;
 * its regions then read as all ones.
 */
function power({ function: of, power: { state, suspended, bridges } }: FunctionFacts): Finding {
  const check = "power";
  const { address, driver } = of;
  const bridge = bridges.at(0);
  const asleep = [
    ...(state === undefined || state === "D0" ? [] : [state]),
    ...(bridge ? [`${bridge.address} above it is in ${bridge.state}`] : []),
  ].join(", and ");
  const keepOn = (whose: string) => `echo on > ${FUNCTIONS}/${whose}/power/control`;
  if (driver !== undefined && driver !== "uio_pci_generic" && (suspended || asleep))
    return finding(check, "ok", `${asleep || "suspended"} until ${driver} uses it`);
  if (suspended || bridge)
    return finding(
      check,
      asleep ? "problem" : "warning",
      asleep ? `${asleep}: its regions do not answer` : "the kernel has suspended it, and may turn it off",
      keepOn(suspended || !bridge ? address : bridge.address),
    );
  if (asleep)
    return finding(
      check,
      "problem",
      `${asleep}: its regions do not answer`,
      ...(driver === undefined
        ? [`echo 1 > ${FUNCTIONS}/${address}/enable`]
        : [
            { verb: "release", args: [address] } as const,
            ", then ",
            { verb: "bind", args: [address, "--driver", driver] } as const,
          ]),
    );
  return state === undefined
    ? finding(check, "not applicable", "unknown: it has no power management")
    : finding(check, "ok", "on (D0)");
}

/** Base class of bridges. */
const BRIDGE = 0x06;

/** A bridge with a bus behind it, or another one such as the host bridge: not for user space to drive. */
const isAnyBridge = ({ isBridge, classCode }: FunctionFacts["function"]) =>
  isBridge || classCode >>> 16 === BRIDGE;

function driver(facts: FunctionFacts): Finding {
  const check = "driver";
  const { driver: name } = facts.function;
  if (isAnyBridge(facts.function))
    return finding(check, "not applicable", `a bridge, with ${name ?? "no driver"}`);
  if (isVfioDriver(name)) return finding(check, "ok", `${name}`);
  if (name === "uio_pci_generic") {
    const text = `uio_pci_generic: legacy interrupts only; DMA if it is opened as ${facts.function.address}?dma=physical, and nothing protects memory from it`;
    return facts.beyondVfio
      ? finding(check, "ok", text)
      : finding(check, "warning", text, ...bindCommand(facts));
  }
  if (name === undefined && facts.lockedDown)
    return finding(
      check,
      "problem",
      "none, and kernel lockdown blocks its regions in sysfs: only VFIO can reach them",
      ...(facts.beyondVfio ? [TURN_IOMMU_ON] : bindCommand(facts)),
    );
  if (name === undefined)
    return finding(
      check,
      "warning",
      `none: it can be reached through sysfs, without interrupts and DMA${facts.beyondVfio ? "; without an IOMMU uio_pci_generic gives legacy interrupts" : ""}`,
      ...bindCommand(facts),
    );
  // A function that is in use is not a problem.
  if (facts.uses.length > 0) return finding(check, "ok", `${name} has it, and it is in use`);
  return finding(check, "problem", `${name} has it`, ...bindCommand(facts));
}

const TURN_IOMMU_ON = "turn the IOMMU on, see IOMMU above";

/**
 * The command that binds it for user space; undefined if none can: uio_pci_generic needs a legacy interrupt.
 */
function bindCommand({ function: { address, irq }, beyondVfio }: FunctionFacts): Fix {
  if (!beyondVfio) return [{ verb: "bind", args: [address] }];
  return irq === 0 ? [] : [{ verb: "bind", args: [address, "--driver", "uio_pci_generic"] }];
}

function override({ function: of, record }: FunctionFacts): Finding {
  const check = "driver_override";
  if (of.driverOverride === undefined) return finding(check, "ok", "not set");
  if (of.driverOverride === of.driver)
    return finding(check, "ok", record ? `${of.driver}, set by vfiokit` : `${of.driver}, not set by vfiokit`);
  return finding(check, "warning", `${of.driverOverride} is left over: no other driver can bind to it`, {
    verb: "release",
    args: [of.address],
  });
}

function use({ uses, function: of }: FunctionFacts): Finding {
  if (uses.length === 0) return finding("use", "ok", "not in use");
  const fix = isAnyBridge(of) ? [] : ["unmount or stop that before binding another driver"];
  return finding("use", "warning", uses.join("; "), ...fix);
}

function group({ function: of, members, beyondVfio }: FunctionFacts): Finding {
  const check = "IOMMU group";
  if (beyondVfio) return finding(check, "not applicable", "in none: this machine has no IOMMU");
  if (of.iommuGroup === undefined && isAnyBridge(of)) return finding(check, "not applicable", "in none");
  if (of.iommuGroup === undefined)
    return finding(
      check,
      "warning",
      "in none: with an SMMU or virtio-iommu it gets one when a driver is bound",
      { verb: "bind", args: [of.address] },
    );
  const number = of.iommuGroup.number;
  const others = members.filter((member) => member.function.address !== of.address);
  const blocking = others.filter((member) => !member.viable);
  if (blocking.length === 0) {
    const beside = others.length > 0 ? `, with ${others.map((it) => it.function.address).join(", ")}` : "";
    return finding(check, "ok", `${number}${of.iommuGroup.noiommu ? " (noiommu)" : ""}${beside}`);
  }
  const list = blocking.map((member) => `${member.function.address} (${member.function.driver})`);
  return finding(
    check,
    "problem",
    `${number} is not viable; members with another driver: ${list.join(", ")}`,
    { verb: "bind", args: [of.address, "--group"] },
  );
}

function groupNode(facts: FunctionFacts): Finding {
  const { node } = facts;
  const check = "group's node";
  if (!node) return finding(check, "not applicable", "VFIO does not have it");
  const { path, opened, holders } = node;
  if (opened === "ok") return finding(check, "ok", `${path} can be opened`);
  if (opened === "ENOENT")
    return finding(
      check,
      "problem",
      `ENOENT: ${path} does not exist, as in containers without it`,
      `give the container ${path}, such as docker run --device ${path}`,
    );
  if (opened === "EACCES")
    return finding(
      check,
      "problem",
      `EACCES: this user may not open ${path}`,
      `sudo chown "$(id -u)" ${path}; or for good: `,
      { verb: "setup", args: [facts.function.address] },
    );
  if (opened === "EPERM")
    return finding(
      check,
      "problem",
      `EPERM: ${path} without an IOMMU needs CAP_SYS_RAWIO`,
      "run as root, with sudo",
    );
  if (opened === "EBUSY") {
    const who =
      holders.length > 0
        ? holders.map(describeHolder).join(", ")
        : "a process that this user can't see, so look as root";
    const pids = holders.map((holder) => holder.pid).join(" ");
    return finding(
      check,
      "problem",
      `EBUSY: ${path} is held by ${who}`,
      ...(pids ? [`kill ${pids}`] : ["sudo ", { verb: "doctor", args: [] }]),
    );
  }
  return finding(check, "problem", `${path} can't be opened: ${opened}`);
}

function addresses({ function: of }: FunctionFacts): Finding {
  const check = "region addresses";
  const regions = memoryRegions(of);
  if (regions.length === 0) return finding(check, "not applicable", "it has no memory regions");
  const without = regions.filter(({ start, flags }) => start === 0n || (flags & ResourceFlag.UNSET) !== 0n);
  if (without.length === 0) return finding(check, "ok", `assigned: ${list(regions)}`);
  return finding(
    check,
    "problem",
    `not assigned: ${list(without)}; the bridge above has no room`,
    { verb: "rescan", args: [of.address] },
    ", or boot with pci=realloc",
  );
}

const list = (regions: readonly { index: number }[]) => regions.map(({ index }) => index).join(", ");

function memoryRegions(of: FunctionFacts["function"]) {
  return of.resources
    .map((resource, index) => ({ ...resource, index }))
    .slice(0, BARS)
    .filter(({ flags }) => (flags & ResourceFlag.MEMORY) !== 0n);
}

function decode({ function: of, config }: FunctionFacts): Finding {
  const check = "memory decode";
  if (config === undefined || isSilent(config)) return finding(check, "not applicable", "unknown");
  if (memoryRegions(of).length === 0) return finding(check, "not applicable", "it has no memory regions");
  // PCIe 6.0, section 9.3.4.1.3.
  if (of.physicalFunction !== undefined)
    return finding(check, "not applicable", `a virtual function's is turned on by ${of.physicalFunction}`);
  if (commandBits(config.command).memory) return finding(check, "ok", "on");
  if (of.driver !== undefined) return finding(check, "ok", `off until ${of.driver} is opened`);
  return finding(check, "warning", "off: its regions do not answer ([disabled] in lspci)", {
    verb: "enable",
    args: [of.address, "--memory"],
  });
}

function busMaster(facts: FunctionFacts): Finding {
  const { function: of, config, lockedDown } = facts;
  const check = "bus master";
  if (config === undefined || isSilent(config)) return finding(check, "not applicable", "unknown");
  const { busMaster: on } = commandBits(config.command);
  if (on && of.driver === undefined && !of.isBridge)
    return finding(
      check,
      "warning",
      "on without a driver: it may still do DMA",
      ...(lockedDown
        ? bindCommand(facts)
        : [{ verb: "enable", args: [of.address, "--bus-master", "--off"] }]),
    );
  return finding(check, "ok", on ? "on" : "off until it is opened");
}

function resourceFiles({
  function: of,
  resourceFiles: files,
  beyondVfio,
  lockedDown,
}: FunctionFacts): Finding {
  const check = "resource files";
  const { address, driver } = of;
  const regions = memoryRegions(of);
  if (regions.length === 0) return finding(check, "not applicable", "it has no memory regions");
  if (isVfioDriver(driver)) return finding(check, "ok", `not needed: ${driver} maps its regions`);
  if (driver !== undefined && driver !== "uio_pci_generic")
    return finding(check, "not applicable", `its regions can't be mapped while ${driver} drives it`);
  const onlyVfio = (why: string) =>
    finding(
      check,
      "warning",
      `${why}: only VFIO can`,
      beyondVfio ? TURN_IOMMU_ON : { verb: "bind", args: [address] },
    );
  if (lockedDown) return onlyVfio("kernel lockdown forbids mapping its regions through sysfs");
  const without = regions.find(({ index }) => !files.includes(index));
  if (without) return onlyVfio(`this kernel has no file resource${without.index} to map its region`);
  return finding(check, "ok", "its regions can be mapped through sysfs");
}
