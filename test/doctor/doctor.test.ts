/** The doctor's verdicts on facts made up here; on real ones in test/guest/inside/bus.test.ts. */
import { describe, expect, test } from "bun:test";
import { wordParts } from "../../scripts/cli/remedy.ts";
import type { FunctionFacts, SystemFacts } from "../../src/doctor/facts.ts";
import { examineFunction } from "../../src/doctor/function.ts";
import { examineSystem } from "../../src/doctor/system.ts";
import type { PciFunction } from "../../src/pci/bus/functions.ts";
import { card } from "../pci/made-up.ts";
import { bad, bound, device, system } from "./rig.ts";

const healthy: SystemFacts = {
  architecture: "x64",
  cpuVendor: "intel",
  commandLine: ["quiet", "intel_iommu=on"],
  iommus: ["dmar0"],
  firmwareTable: "DMAR",
  interruptRemapping: true,
  unsafeInterrupts: false,
  modules: { "vfio-pci": "loaded", vfio_iommu_type1: "loaded", uio_pci_generic: "loaded" },
  container: "ok",
  iommufd: "ENOENT",
  memlockBytes: Number.POSITIVE_INFINITY,
  noiommu: undefined,
  lockdown: "none",
  hugepages: [{ sizeBytes: 2 ** 21, total: 8, free: 5 }],
  transparentHugepages: true,
  root: true,
};
const withoutIommu = { ...healthy, commandLine: ["quiet"], iommus: [], interruptRemapping: false };

test("a machine and a function in order have nothing to complain about", () => {
  expect(bad(examineSystem(healthy))).toEqual([]);
  expect(bad(examineFunction(bound))).toEqual([]);
});

test("every warning and every problem says what helps, but for what is no one's to help", () => {
  const sick: SystemFacts = {
    ...withoutIommu,
    modules: { "vfio-pci": "available", vfio_iommu_type1: "absent", uio_pci_generic: "available" },
    container: "ENOENT",
    memlockBytes: 65536,
    noiommu: true,
    lockdown: "integrity",
    hugepages: [{ sizeBytes: 2 ** 21, total: 0, free: 0 }],
    transparentHugepages: false,
    root: false,
  };
  const findings = bad(examineSystem(sick));
  expect(findings.map(({ check }) => check)).toEqual([
    "rights",
    "IOMMU",
    "vfio-pci",
    "vfio_iommu_type1",
    "/dev/vfio/vfio",
    "memlock limit",
    "noiommu mode",
    "uio_pci_generic",
    "lockdown",
    "hugepages",
  ]);
  expect(findings.filter(({ fix }) => fix === undefined)).toEqual([]);
});

describe("without an IOMMU", () => {
  test("Intel's is turned on on the kernel's command line, where the firmware has it", () => {
    expect(system(withoutIommu, "IOMMU")).toEqual({
      check: "IOMMU",
      verdict: "problem",
      text: "there is one (DMAR), but the kernel leaves it off",
      fix: "add intel_iommu=on to the kernel's command line, and reboot",
    });
  });

  test("what turns it off is named", () => {
    const facts = { ...withoutIommu, commandLine: ["amd_iommu=off"], firmwareTable: "IVRS" };
    expect(system(facts, "IOMMU")).toMatchObject({
      text: "turned off by amd_iommu=off on the kernel's command line",
      fix: "remove amd_iommu=off from the kernel's command line, and reboot",
    });
  });

  test.each([
    ["x64", "intel", /^turn on VT-d in the firmware's setup, add intel_iommu=on .*intel-iommu,intremap=on$/],
    ["x64", "amd", /^turn on AMD-Vi \(IOMMU\) in the firmware's setup, and reboot/],
    ["arm64", undefined, /^use a machine with an SMMU; in QEMU: -machine virt,iommu=smmuv3/],
  ] as const)(
    "%s, %p: a firmware that has none is told of in its own words",
    (architecture, cpuVendor, fix) => {
      const facts = { ...withoutIommu, architecture, cpuVendor, firmwareTable: undefined };
      expect(system(facts, "IOMMU").fix).toMatch(fix);
    },
  );

  test("noiommu mode is offered with its price where the kernel has it, and makes the lack a warning", () => {
    expect(system({ ...withoutIommu, noiommu: false }, "noiommu mode")).toEqual({
      check: "noiommu mode",
      verdict: "ok",
      text: "off; turned on, VFIO works without an IOMMU, but a device can write to all of memory, the kernel is tainted, and only root can use it",
      fix: "echo Y > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
    });
    expect(system({ ...withoutIommu, noiommu: true }, "IOMMU").verdict).toBe("warning");
    expect(system({ ...withoutIommu, noiommu: true }, "noiommu mode").verdict).toBe("warning");
  });
});

test("interrupt remapping that is off stops VFIO, unless it is told to go on", () => {
  const facts = { ...healthy, interruptRemapping: false };
  expect(system(facts, "interrupt remapping").verdict).toBe("problem");
  expect(system({ ...facts, unsafeInterrupts: true }, "interrupt remapping").verdict).toBe("warning");
  expect(system({ ...facts, architecture: "arm64" }, "interrupt remapping").verdict).toBe("not applicable");
});

test("a low memlock limit is said in MiB", () => {
  expect(system({ ...healthy, memlockBytes: 8 * 2 ** 20 }, "memlock limit")).toMatchObject({
    verdict: "warning",
    text: "only 8 MiB of DMA memory may be mapped; beyond that mapping fails with ENOMEM",
  });
});

test("large pages are reserved where 2 MiB ones are, though there may be smaller", () => {
  const sizes = (...kilobytes: number[]) =>
    kilobytes.map((each) => ({ sizeBytes: each * 1024, total: 0, free: 0 }));
  const fix = (...kilobytes: number[]) =>
    system({ ...healthy, hugepages: sizes(...kilobytes), transparentHugepages: false }, "hugepages").fix;
  expect(fix(64, 2048, 32768)).toBe("echo 64 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
  expect(fix(524288, 16384)).toBe("echo 64 > /sys/kernel/mm/hugepages/hugepages-16384kB/nr_hugepages");
  expect(system({ ...healthy, hugepages: sizes(2048) }, "hugepages")).toMatchObject({
    check: "hugepages",
    verdict: "ok",
    text: "none reserved, but large DMA memory uses transparent ones",
  });
});

test("a kernel without vfio-pci is not told to load it", () => {
  const modules = { ...healthy.modules, "vfio-pci": "absent" } as const;
  expect(system({ ...healthy, modules, container: "ENOENT" }, "/dev/vfio/vfio").fix).toBe(
    "install the distribution's full kernel, or its package of extra modules",
  );
});

test("a kernel without groups, but with iommufd, lacks nothing", () => {
  const modules = { ...healthy.modules, vfio_iommu_type1: "absent" } as const;
  const facts: SystemFacts = { ...healthy, modules, container: "ENOENT", iommufd: "ok" };
  expect(system(facts, "/dev/vfio/vfio").verdict).toBe("not applicable");
  expect(system(facts, "vfio_iommu_type1").verdict).toBe("not applicable");
  expect(system({ ...facts, iommufd: "EACCES" }, "vfio_iommu_type1").verdict).toBe("problem");
});

describe("a function", () => {
  test("whose link is dead answers all ones, and nothing else is read from it", () => {
    const dead = { ...bound, config: { vendor: 0xffff, command: 0xffff } };
    expect(device(dead, "link")).toMatchObject({ verdict: "problem", fix: "bun run rescan.ts 0000:00:09.0" });
    expect(device(dead, "memory decode").verdict).toBe("not applicable");
    expect(device(dead, "bus master").verdict).toBe("not applicable");
  });

  test("that is virtual has no vendor id of its own, and is dead only where Command reads as ones, too", () => {
    const virtual = { ...card, physicalFunction: "0000:00:08.0" };
    const facts = { ...bound, function: virtual, config: { vendor: 0xffff, command: 0 } };
    expect(device(facts, "link").verdict).toBe("ok");
    // Its memory decode is its physical function's.
    expect(device({ ...facts, function: { ...virtual, driver: undefined } }, "memory decode")).toMatchObject({
      verdict: "not applicable",
      fix: undefined,
    });
    expect(device({ ...facts, config: { vendor: 0x10ee, command: 0xffff } }, "link")).toMatchObject({
      verdict: "problem",
      fix: "bun run rescan.ts 0000:00:08.0",
    });
  });

  test("has its fix as data: words, and commands of the toolkit", () => {
    const dead = { ...bound, registers: { region: 0, silent: true } };
    expect(examineFunction(dead).find(({ check }) => check === "link")?.fix).toEqual([
      "bring that back (its program, image or power), then ",
      { verb: "rescan", args: ["0000:00:09.0"] },
    ]);
  });

  test("whose configuration space answers and whose registers read as all ones is dead", () => {
    expect(device({ ...bound, registers: { region: 0, silent: true } }, "link")).toEqual({
      check: "link",
      verdict: "problem",
      text: "its configuration space answers, but the first word of region 0 is all ones: the logic behind it is dead, in reset or being programmed",
      fix: "bring that back (its program, image or power), then bun run rescan.ts 0000:00:09.0",
    });
    expect(device({ ...bound, registers: { region: 0, silent: false } }, "link")).toMatchObject({
      verdict: "ok",
      text: "it answers: configuration space, and region 0",
    });
    expect(device(bound, "link")).toMatchObject({ verdict: "ok", text: "its configuration space answers" });
  });

  test.each([
    ["ENOENT", "problem", /^ENOENT: \/dev\/vfio\/12 does not exist/],
    ["EACCES", "problem", /^EACCES: this user may not open \/dev\/vfio\/12$/],
    ["EPERM", "problem", /^EPERM: .* needs CAP_SYS_RAWIO$/],
    ["EBUSY", "problem", /^EBUSY: \/dev\/vfio\/12 is held by process 4711 \(dd\)$/],
    ["ENODEV", "problem", /^\/dev\/vfio\/12 can't be opened: ENODEV$/],
  ] as const)("whose group's node gives %s is told apart from others", (opened, verdict, text) => {
    const path = "/dev/vfio/12";
    const holders = opened === "EBUSY" ? [{ pid: 4711, command: "dd", path }] : [];
    const found = device({ ...bound, node: { path, opened, holders } }, "group's node");
    expect(found).toMatchObject({ verdict });
    expect(found.text).toMatch(text);
  });

  test("whose group holds another driver's function is not viable; a bridge does no harm", () => {
    const bridge = { ...card, address: "0000:00:08.0", driver: "pcieport", isBridge: true };
    const other = { ...card, address: "0000:00:0a.0", driver: "nvme" };
    const fine = { function: bridge, viable: true, verdict: "a bridge, fine as it is" };
    const facts = { ...bound, members: [...bound.members, fine] };
    expect(device(facts, "IOMMU group")).toMatchObject({ verdict: "ok", text: "12, with 0000:00:08.0" });
    const blocked = [...facts.members, { function: other, viable: false, verdict: "nvme keeps it" }];
    expect(device({ ...facts, members: blocked }, "IOMMU group")).toEqual({
      check: "IOMMU group",
      verdict: "problem",
      text: "12 is not viable; members with another driver: 0000:00:0a.0 (nvme)",
      fix: "bun run bind.ts 0000:00:09.0 --group",
    });
  });

  test("with regions without an address, or without files to map them by, is told of region by region", () => {
    const unset = { start: 0n, end: 0x7f_ffffn, flags: 0x2004_0200n };
    const facts = {
      ...bound,
      function: { ...card, resources: [...card.resources, unset] },
      resourceFiles: [0],
    };
    expect(device(facts, "region addresses")).toMatchObject({
      verdict: "problem",
      text: "not assigned: 1; the bridge above has no room",
    });
    const free = { ...facts, function: { ...facts.function, driver: undefined } };
    expect(device(free, "resource files")).toEqual({
      check: "resource files",
      verdict: "warning",
      text: "this kernel has no file resource1 to map its region: only VFIO can",
      fix: "bun run bind.ts 0000:00:09.0",
    });
  });

  test.each([
    ["vfio-pci", "ok", "not needed: vfio-pci maps its regions"],
    ["mlx5_vfio_pci", "ok", "not needed: mlx5_vfio_pci maps its regions"],
    ["nvme", "not applicable", "its regions can't be mapped while nvme drives it"],
    ["uio_pci_generic", "ok", "its regions can be mapped through sysfs"],
    [undefined, "ok", "its regions can be mapped through sysfs"],
  ] as const)(
    "that %p has is mapped through sysfs or not, and is not sent to bind again",
    (driver, verdict, text) => {
      const facts = { ...bound, function: { ...card, driver } };
      expect(device(facts, "resource files")).toEqual({
        check: "resource files",
        verdict,
        text,
        fix: undefined,
      });
    },
  );

  test("under kernel lockdown is reached through VFIO only, and no fix is one that lockdown forbids", () => {
    const free = { ...card, driver: undefined, driverOverride: undefined };
    const facts = {
      ...bound,
      function: free,
      node: undefined,
      config: { vendor: 0x10ee, command: 4 },
      lockedDown: true,
    };
    expect(device(facts, "driver")).toMatchObject({
      verdict: "problem",
      text: "none, and kernel lockdown blocks its regions in sysfs: only VFIO can reach them",
    });
    expect(device(facts, "resource files")).toMatchObject({
      verdict: "warning",
      text: "kernel lockdown forbids mapping its regions through sysfs: only VFIO can",
    });
    for (const check of ["driver", "resource files", "bus master"])
      expect(device(facts, check).fix).toBe("bun run bind.ts 0000:00:09.0");
    // Nothing of that matters to VFIO.
    expect(bad(examineFunction({ ...bound, lockedDown: true }))).toEqual([]);
  });

  test("that does its work with the kernel's driver is no problem, and is not proposed to be taken", () => {
    const disk = { ...card, driver: "nvme", driverOverride: undefined };
    const facts = { ...bound, function: disk, node: undefined, uses: ["nvme0n1 is mounted on /"] };
    expect(device(facts, "driver")).toEqual({
      check: "driver",
      verdict: "ok",
      text: "nvme has it, and it is in use",
      fix: undefined,
    });
    expect(device(facts, "use")).toMatchObject({ verdict: "warning", text: "nvme0n1 is mounted on /" });
    expect(device({ ...facts, uses: [] }, "driver")).toMatchObject({
      verdict: "problem",
      fix: "bun run bind.ts 0000:00:09.0",
    });
  });

  test("that is the host bridge has nothing to be fixed", () => {
    const host = {
      ...card,
      classCode: 0x060000,
      driver: undefined,
      driverOverride: undefined,
      resources: [],
    };
    const facts = { ...bound, function: host, node: undefined, uses: ["it is the host bridge"] };
    expect(bad(examineFunction(facts)).filter(({ fix }) => fix !== undefined)).toEqual([]);
  });

  test("that VFIO can't have, since there is no IOMMU, is never sent to vfio-pci", () => {
    const fixes = (of: Partial<PciFunction>) =>
      examineFunction({
        ...bound,
        function: { ...card, driverOverride: undefined, iommuGroup: undefined, ...of },
        members: [],
        node: undefined,
        beyondVfio: true,
        resourceFiles: [],
      }).flatMap(({ check, fix }) => (fix === undefined ? [] : [`${check}: ${wordParts(fix, "clone")}`]));
    const uio = "driver: bun run bind.ts 0000:00:09.0 --driver uio_pci_generic";
    const map = "resource files: turn the IOMMU on, see IOMMU above";
    expect(fixes({ driver: "nvme" })).toEqual([uio]);
    expect(fixes({ driver: "uio_pci_generic" })).toEqual([map]);
    const decode = "memory decode: bun run enable.ts 0000:00:09.0 --memory";
    expect(fixes({ driver: undefined })).toEqual([uio, decode, map]);
    // uio_pci_generic refuses what has no legacy interrupt.
    expect(fixes({ driver: undefined, irq: 0 })).toEqual([decode, map]);
  });

  test("as in the story: no driver, both regions disabled", () => {
    const story = { ...card, driver: undefined, driverOverride: undefined, iommuGroup: undefined };
    const facts: FunctionFacts = {
      ...bound,
      function: story,
      members: [],
      node: undefined,
      resourceFiles: [],
      record: undefined,
    };
    expect(
      bad(examineFunction(facts)).map(({ check, verdict, fix }) => `${verdict}: ${check}: ${fix}`),
    ).toEqual([
      "warning: driver: bun run bind.ts 0000:00:09.0",
      "warning: IOMMU group: bun run bind.ts 0000:00:09.0",
      "warning: memory decode: bun run enable.ts 0000:00:09.0 --memory",
      "warning: resource files: bun run bind.ts 0000:00:09.0",
    ]);
  });
});
