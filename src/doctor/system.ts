/** Judges a machine: can it drive devices from user space at all? Reads no facts itself. */
import { FULL_KERNEL, type ModuleState } from "../pci/bus/module.ts";
import { closesSysfs, type Finding, type Fix, finding, type SystemFacts } from "./facts.ts";

/** With less, a stream of large frames does not fit. */
const MEMLOCK_BYTES = 64 * 1024 * 1024;
/** Size of the hugepages that DMA memory is made of, if there are any; arm64 has smaller ones, too. */
const HUGEPAGE_BYTES = 2 * 1024 * 1024;
const NOIOMMU_PARAMETER = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";

/** One finding per check, the most important first. */
export function examineSystem(facts: SystemFacts): Finding[] {
  return [
    rights(facts),
    iommu(facts),
    interruptRemapping(facts),
    module(facts, "vfio-pci", "VFIO can't be used"),
    type1(facts),
    container(facts),
    memlock(facts),
    noiommu(facts),
    uio(facts),
    lockdown(facts),
    hugepages(facts),
  ];
}

const isOn = (facts: SystemFacts) => facts.iommus.length > 0;

function rights({ root }: SystemFacts): Finding {
  const check = "rights";
  if (root) return finding(check, "ok", "this is root");
  return finding(
    check,
    "warning",
    "this is not root: binding, enabling and rescanning need it, and some checks below see less",
    "sudo ",
    { verb: "doctor", args: [] },
  );
}

function iommu(facts: SystemFacts): Finding {
  const check = "IOMMU";
  if (isOn(facts)) return finding(check, "ok", `on: ${facts.iommus.join(", ")}`);
  const without = facts.noiommu === true ? "warning" : "problem";
  const off = facts.commandLine.find((word) => /^(intel_iommu|amd_iommu|iommu)=off/.test(word));
  if (off !== undefined)
    return finding(
      check,
      without,
      `turned off by ${off} on the kernel's command line`,
      `remove ${off} from the kernel's command line, and reboot`,
    );
  if (facts.firmwareTable === undefined)
    return finding(check, without, "the firmware describes none", ...turnOnInFirmware(facts));
  if (facts.firmwareTable === "DMAR")
    return finding(
      check,
      without,
      "there is one (DMAR), but the kernel leaves it off",
      "add intel_iommu=on to the kernel's command line, and reboot",
    );
  return finding(
    check,
    without,
    `the firmware describes one (${facts.firmwareTable}), but the kernel does not drive it`,
    facts.firmwareTable === "VIOT"
      ? "modprobe virtio-iommu"
      : "look for the reason: dmesg | grep -i -e iommu -e smmu -e AMD-Vi",
  );
}

function turnOnInFirmware({ architecture, cpuVendor }: SystemFacts): Fix {
  if (architecture === "arm64")
    return [
      "use a machine with an SMMU; in QEMU: -machine virt,iommu=smmuv3; without one: ",
      { verb: "enable", args: ["ADDRESS"] },
      " and sysfs, or ",
      { verb: "bind", args: ["ADDRESS", "--driver", "uio_pci_generic"] },
    ];
  const name =
    cpuVendor === "intel" ? "VT-d" : cpuVendor === "amd" ? "AMD-Vi (IOMMU)" : "the IOMMU (VT-d, AMD-Vi)";
  const kernel = cpuVendor === "amd" ? "" : ", add intel_iommu=on to the kernel's command line";
  return [
    `turn on ${name} in the firmware's setup${kernel}, and reboot; in QEMU: -machine q35,kernel-irqchip=split -device ${cpuVendor === "amd" ? "amd" : "intel"}-iommu,intremap=on`,
  ];
}

function interruptRemapping(facts: SystemFacts): Finding {
  const check = "interrupt remapping";
  if (facts.architecture !== "x64")
    return finding(check, "not applicable", "the interrupt controller does that here");
  if (!isOn(facts)) return finding(check, "not applicable", "there is no IOMMU");
  if (facts.interruptRemapping) return finding(check, "ok", "on");
  if (facts.unsafeInterrupts)
    return finding(
      check,
      "warning",
      "off, and VFIO is told to continue anyway: a device can send any interrupt (allow_unsafe_interrupts)",
    );
  return finding(
    check,
    "problem",
    "off: VFIO refuses to attach a group (EPERM)",
    "turn it on: remove intremap=off from the kernel's command line, or in QEMU give the IOMMU intremap=on, and the machine kernel-irqchip=split; if you trust the device: echo 1 > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
  );
}

function module({ modules }: SystemFacts, name: keyof SystemFacts["modules"], without: string): Finding {
  return byState(name, modules[name], without);
}

function byState(name: string, state: ModuleState, without: string): Finding {
  if (state === "loaded") return finding(name, "ok", "loaded");
  if (state === "available") return finding(name, "problem", `not loaded: ${without}`, `modprobe ${name}`);
  return finding(name, "problem", `this kernel does not have it: ${without}`, FULL_KERNEL);
}

/** Groups and their containers need it. A kernel without them (VFIO_GROUP) has iommufd, and vfio-pci a node for each device. */
function type1(facts: SystemFacts): Finding {
  const name = "vfio_iommu_type1";
  if (facts.modules[name] === "absent" && facts.iommufd === "ok")
    return finding(name, "not applicable", "iommufd (/dev/iommu) maps memory for DMA in this kernel");
  return module(facts, name, "VFIO can't map memory for DMA");
}

function container({ container: opened, iommufd, modules }: SystemFacts): Finding {
  const check = "/dev/vfio/vfio";
  if (opened === "ok") return finding(check, "ok", "can be opened");
  if (opened === "ENOENT" && iommufd === "ok")
    return finding(check, "not applicable", "this kernel has no groups: devices are opened with /dev/iommu");
  if (opened === "ENOENT")
    return modules["vfio-pci"] === "loaded"
      ? finding(
          check,
          "problem",
          "ENOENT: it does not exist although the module is loaded, as in containers",
          "give the container /dev/vfio, such as docker run --device /dev/vfio",
        )
      : finding(
          check,
          "problem",
          "ENOENT: it does not exist before the module is loaded",
          modules["vfio-pci"] === "absent" ? FULL_KERNEL : "modprobe vfio-pci",
        );
  if (opened === "EACCES")
    return finding(check, "problem", "EACCES: this user may not open it", "sudo chmod 0666 /dev/vfio/vfio");
  return finding(check, "problem", `can't be opened: ${opened}`);
}

function memlock({ memlockBytes }: SystemFacts): Finding {
  const check = "memlock limit";
  if (memlockBytes === Number.POSITIVE_INFINITY)
    return finding(check, "ok", "does not apply: unlimited, or this process has CAP_IPC_LOCK");
  const limit = `${Math.floor(memlockBytes / 1024 / 1024)} MiB`;
  if (memlockBytes >= MEMLOCK_BYTES) return finding(check, "ok", `${limit} of DMA memory may be mapped`);
  return finding(
    check,
    "warning",
    `only ${limit} of DMA memory may be mapped; beyond that mapping fails with ENOMEM`,
    "ulimit -l unlimited, as root before the program starts, or: echo '* - memlock unlimited' > /etc/security/limits.d/memlock.conf, and log in again",
  );
}

function noiommu(facts: SystemFacts): Finding {
  const check = "noiommu mode";
  if (facts.noiommu === true)
    return finding(
      check,
      "warning",
      "on: devices can write to all of memory, and the kernel is tainted once one is opened",
      `echo N > ${NOIOMMU_PARAMETER}`,
    );
  if (isOn(facts)) return finding(check, "not applicable", "there is an IOMMU");
  if (facts.noiommu === undefined)
    return finding(check, "not applicable", "this kernel was built without it (CONFIG_VFIO_NOIOMMU)");
  return finding(
    check,
    "ok",
    "off; turned on, VFIO works without an IOMMU, but a device can write to all of memory, the kernel is tainted, and only root can use it",
    `echo Y > ${NOIOMMU_PARAMETER}`,
  );
}

function uio({ modules, iommus }: SystemFacts): Finding {
  const state = modules.uio_pci_generic;
  if (state === "loaded") return finding("uio_pci_generic", "ok", "loaded");
  if (iommus.length > 0) return finding("uio_pci_generic", "not applicable", "VFIO does more");
  if (state === "absent")
    return finding("uio_pci_generic", "warning", "this kernel does not have it: no interrupts without VFIO");
  return finding(
    "uio_pci_generic",
    "warning",
    "not loaded: no interrupts without VFIO",
    "modprobe uio_pci_generic",
  );
}

function lockdown(facts: SystemFacts): Finding {
  const { lockdown: mode } = facts;
  const check = "lockdown";
  if (!closesSysfs(mode)) return finding(check, "ok", "off");
  return finding(
    check,
    "warning",
    `${mode}: the kernel refuses to map regions, and to write configuration space, through sysfs; VFIO still works`,
    ...(isOn(facts) ? ["use VFIO (", { verb: "bind", args: ["ADDRESS"] }, "), or "] : []),
    "turn Secure Boot off and remove lockdown= from the kernel's command line",
  );
}

function hugepages({ hugepages: sizes, transparentHugepages }: SystemFacts): Finding {
  const check = "hugepages";
  const reserved = sizes.filter(({ total }) => total > 0);
  if (reserved.length > 0) {
    const each = reserved.map(
      ({ sizeBytes, total, free }) => `${free} of ${total} of ${sizeBytes / 1024 / 1024} MiB free`,
    );
    return finding(check, "ok", each.join(", "));
  }
  if (transparentHugepages)
    return finding(check, "ok", "none reserved, but large DMA memory uses transparent ones");
  const [smallest] = [...sizes].sort((a, b) => a.sizeBytes - b.sizeBytes);
  const usual = sizes.find(({ sizeBytes }) => sizeBytes === HUGEPAGE_BYTES) ?? smallest;
  if (!usual) return finding(check, "not applicable", "this kernel has none");
  return finding(
    check,
    "warning",
    "none reserved: DMA memory uses small pages",
    `echo 64 > /sys/kernel/mm/hugepages/hugepages-${usual.sizeBytes / 1024}kB/nr_hugepages`,
  );
}
