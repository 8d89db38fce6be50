/** What is read from sysfs, on a mock of it; real ones are read in test/guest/inside/bus.inside.ts. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isCurrent } from "../../src/pci/bus/binding-record.ts";
import { BusError } from "../../src/pci/bus/bus-error.ts";
import { openConfigFile } from "../../src/pci/bus/config-file.ts";
import { functionsBehind, virtualFunctions } from "../../src/pci/bus/dependents.ts";
import {
  findFunctions,
  groupMembers,
  listAddresses,
  listFunctions,
  ResourceFlag,
  readFunction,
} from "../../src/pci/bus/functions.ts";
import { findUses, findUsesBehind } from "../../src/pci/bus/in-use.ts";
import { isSilent, readAnswer } from "../../src/pci/bus/presence.ts";
import { tempFolder } from "../media/rig.ts";

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
const root = folder.file("bus");
const devices = folder.file("devices");
const NONE = "0x0000000000000000 0x0000000000000000 0x0000000000000000";

/** A function's directory; `path` is where it lies below the buses. */
function add(path: string, attributes: Record<string, string>, links: Record<string, string> = {}): void {
  const directory = join(devices, path);
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(attributes)) writeFileSync(join(directory, name), `${text}\n`);
  for (const [name, target] of Object.entries(links)) {
    mkdirSync(target, { recursive: true });
    symlinkSync(target, join(directory, name));
  }
  symlinkSync(directory, join(root, path.split("/").at(-1)!));
}

beforeAll(() => {
  mkdirSync(root);
  const group = folder.file("groups/7");
  mkdirSync(group, { recursive: true });
  writeFileSync(join(group, "name"), "vfio-noiommu\n");
  const bridge = {
    vendor: "0x1b36",
    device: "0x000c",
    subsystem_vendor: "0x1b36",
    subsystem_device: "0x0000",
    class: "0x060400",
  };
  add("pci0000:00/0000:00:02.0", bridge, { driver: folder.file("drivers/pcieport"), iommu_group: group });
  add(
    "pci0000:00/0000:00:02.0/0000:01:00.0",
    {
      vendor: "0x10ee",
      device: "0x7022",
      subsystem_vendor: "0x10ee",
      subsystem_device: "0x0007",
      class: "0x058000",
      revision: "0x03",
      driver_override: "(null)",
      numa_node: "-1",
      irq: "47",
      resource: [
        "0x0000000010800000 0x0000000010800fff 0x0000000000040200",
        "0x0000000000000000 0x00000000007fffff 0x0000000020040200",
        "0x000000e000000000 0x000000e0ffffffff 0x000000000014220c",
        ...Array(10).fill(NONE),
      ].join("\n"),
    },
    { iommu_group: group },
  );
  add(
    "pci0000:00/0000:00:02.0/0000:01:00.1",
    { ...bridge, class: "0x010802", driver_override: "vfio-pci", numa_node: "1" },
    {
      driver: folder.file("drivers/vfio-pci"),
      physfn: join(devices, "pci0000:00/0000:00:02.0/0000:01:00.0"),
    },
  );
});

describe("a function", () => {
  test("is read with its ids, class, group, bridge and resources; what there is none of is undefined", () => {
    const of = readFunction("01:00.0", root);
    expect(of).toEqual({
      address: "0000:01:00.0",
      path: join(devices, "pci0000:00/0000:00:02.0/0000:01:00.0"),
      vendor: 0x10ee,
      device: 0x7022,
      subsystemVendor: 0x10ee,
      subsystem: 0x0007,
      classCode: 0x058000,
      revision: 3,
      driver: undefined,
      driverOverride: undefined,
      iommuGroup: { number: 7, noiommu: true },
      numaNode: undefined,
      irq: 47,
      resources: of.resources,
      isBridge: false,
      parent: "0000:00:02.0",
      physicalFunction: undefined,
    });
    expect(of.resources).toHaveLength(7);
    expect(of.resources[0]).toEqual({ start: 0x10800000n, end: 0x10800fffn, flags: 0x40200n });
    expect(of.resources[1]!.flags & ResourceFlag.UNSET).not.toBe(0n);
    expect(of.resources[2]).toMatchObject({ start: 0xe0_0000_0000n, end: 0xe0_ffff_ffffn });
  });

  test("has a driver, an override, a node and a physical function where sysfs says so", () => {
    expect(readFunction("0000:01:00.1", root)).toMatchObject({
      driver: "vfio-pci",
      driverOverride: "vfio-pci",
      numaNode: 1,
      physicalFunction: "0000:01:00.0",
      iommuGroup: undefined,
    });
    expect(readFunction("0000:00:02.0", root)).toMatchObject({
      isBridge: true,
      driver: "pcieport",
      parent: undefined,
    });
  });

  test("that is not there is refused, and left out where it vanishes from the list", () => {
    expect(() => readFunction("00:03.0", root)).toThrow(
      new BusError("there is no PCI function 0000:00:03.0"),
    );
    symlinkSync(join(devices, "nowhere"), join(root, "0000:00:03.0"));
    expect(listAddresses(root)).toContain("0000:00:03.0");
    expect(listFunctions(root).map((of) => of.address)).toEqual([
      "0000:00:02.0",
      "0000:01:00.0",
      "0000:01:00.1",
    ]);
    rmSync(join(root, "0000:00:03.0"));
  });
});

test("functions are found by their ids and by their group", () => {
  const ids = { vendor: 0x10ee, device: 0x7022, subsystemVendor: 0x10ee, subsystem: 0x0007 };
  expect(findFunctions(ids, root)).toEqual(["0000:01:00.0"]);
  expect(findFunctions({ ...ids, subsystem: 8 }, root)).toEqual([]);
  expect(groupMembers({ number: 7, noiommu: true }, root).map((of) => of.address)).toEqual([
    "0000:00:02.0",
    "0000:01:00.0",
  ]);
});

test("a machine without a PCI bus has no functions", () => {
  expect(listFunctions(folder.file("absent"))).toEqual([]);
});

describe("what hangs from a function", () => {
  const physical = () => readFunction("0000:01:00.0", root);
  const bridge = () => readFunction("0000:00:02.0", root);
  const vanish =
    "its virtual functions disappear when its driver is unbound: 0000:01:00.1 (vfio-pci); echo 0 > /sys/bus/pci/devices/0000:01:00.0/sriov_numvfs removes them";

  test("is its virtual functions, and what is behind a bridge", () => {
    const addresses = (functions: { address: string }[]) => functions.map(({ address }) => address);
    expect(addresses(virtualFunctions(physical(), root))).toEqual(["0000:01:00.1"]);
    expect(addresses(virtualFunctions(bridge(), root))).toEqual([]);
    expect(addresses(functionsBehind(bridge(), root))).toEqual(["0000:01:00.0", "0000:01:00.1"]);
  });

  test("is its use, with the driver and the command that frees it; a virtual function has none of that", () => {
    expect(findUses(physical(), root)).toEqual([vanish]);
    expect(findUses(readFunction("0000:01:00.1", root), root)).toEqual([]);
  });

  test("is a bridge's use where it has a driver or a use, unless it is taken as well", () => {
    expect(findUsesBehind(bridge(), [], root)).toEqual([
      `0000:01:00.0 is behind it: ${vanish}`,
      "0000:01:00.1 (vfio-pci) is behind it",
    ]);
    expect(findUsesBehind(bridge(), ["0000:01:00.0", "0000:01:00.1"], root)).toEqual([]);
    expect(findUsesBehind(physical(), [], root)).toEqual([]);
  });

  test("counts with the process that holds it", async () => {
    const config = join(readFunction("0000:01:00.1", root).path, "config");
    writeFileSync(config, "");
    await using holder = Bun.spawn(["sh", "-c", 'exec 3<"$0"; echo open; read word', config], {
      stdin: "pipe",
    });
    await holder.stdout.getReader().read();
    expect(findUses(physical(), root)).toEqual([
      `its virtual function 0000:01:00.1: process ${holder.pid} (sh) has config open`,
      vanish,
    ]);
    holder.stdin.end();
    await holder.exited;
  });
});

describe("configuration space", () => {
  const fill = (address: string, bytes: Uint8Array) => {
    const of = readFunction(address, root);
    writeFileSync(join(of.path, "config"), bytes);
    return of;
  };
  const ones = new Uint8Array(256).fill(0xff);
  /** Its own ids are ones: PCIe 6.0, section 9.3.4.1.1. */
  const virtual = new Uint8Array(256).fill(0xff, 0, 4);

  test("of a virtual function has the ids that the kernel knows, in every width", () => {
    using config = openConfigFile(fill("0000:01:00.1", virtual), "r");
    expect(config.read32(0)).toBe(0x000c_1b36);
    expect([config.read16(0), config.read16(2)]).toEqual([0x1b36, 0x000c]);
    expect([0, 1, 2, 3, 4].map((at) => config.read8(at))).toEqual([0x36, 0x1b, 0x0c, 0, 0]);
  });

  test("tells a function that does not answer from a virtual one, which has no vendor id of its own", () => {
    const silent = (address: string, bytes: Uint8Array) => isSilent(readAnswer(fill(address, bytes))!);
    expect(silent("0000:01:00.1", virtual)).toBe(false);
    expect(silent("0000:01:00.1", ones)).toBe(true);
    expect(silent("0000:01:00.0", ones)).toBe(true);
    rmSync(join(readFunction("0000:01:00.0", root).path, "config"));
    expect(readAnswer(readFunction("0000:01:00.0", root))).toBeUndefined();
  });
});

describe("the record of what bind replaced", () => {
  const record = { driver: "nvme", driverOverride: null, boundTo: "vfio-pci" };
  test.each([
    ["the driver that took it has it", { driver: "vfio-pci", driverOverride: "vfio-pci" }, true],
    ["it was unbound by hand, and our override stands", { driver: null, driverOverride: "vfio-pci" }, true],
    ["binding was cut off in the middle", { driver: "nvme", driverOverride: "vfio-pci" }, true],
    ["it was found anew, with the kernel's choice", { driver: "nvme", driverOverride: null }, false],
    ["someone else gave it away", { driver: "uio_pci_generic", driverOverride: "uio_pci_generic" }, false],
  ] as const)("where %s: %p", (_, now, current) => {
    expect(isCurrent(record, now)).toBe(current);
  });

  test("of a bridge that was left without a driver is true while it has none", () => {
    const bridge = { driver: "shpchp", driverOverride: null, boundTo: null };
    expect(isCurrent(bridge, { driver: null, driverOverride: null })).toBe(true);
    expect(isCurrent(bridge, { driver: "shpchp", driverOverride: null })).toBe(false);
  });
});
