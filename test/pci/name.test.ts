/** The names of functions, on a mock of sysfs; real ones are read in test/guest/inside/bus.inside.ts. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BusError } from "../../src/pci/bus/bus-error.ts";
import { functionNamed, functionsNamed } from "../../src/pci/bus/name.ts";
import { tempFolder } from "../media/rig.ts";

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
const root = folder.file("sys");

function link(name: string, target: string): void {
  mkdirSync(join(root, target), { recursive: true });
  mkdirSync(join(root, name, ".."), { recursive: true });
  symlinkSync(join(root, target), join(root, name));
}

const PCI = "devices/pci0000:00";
/** Three functions, two of them with the same ids behind a bridge. */
const functions = [
  ["0000:00:02.0", "0x1b36", "0x000c", `${PCI}/0000:00:02.0`],
  ["0000:01:00.0", "0x10ee", "0x7022", `${PCI}/0000:00:02.0/0000:01:00.0`],
  ["0000:01:00.1", "0x10ee", "0x7022", `${PCI}/0000:00:02.0/0000:01:00.1`],
] as const;

beforeAll(() => {
  for (const [address, vendor, device, path] of functions) {
    link(`bus/pci/devices/${address}`, path);
    writeFileSync(join(root, path, "vendor"), `${vendor}\n`);
    writeFileSync(join(root, path, "device"), `${device}\n`);
  }
  const [, [, , , first], [, , , second]] = functions;
  link("class/block/nvme0n1", `${first}/nvme/nvme0/nvme0n1`);
  link("class/block/nvme0n1p1", `${first}/nvme/nvme0/nvme0n1/nvme0n1p1`);
  link("class/net/enp1s0f1", `${second}/net/enp1s0f1`);
  link("class/block/sdb", `${first}/usb1/1-1/1-1:1.0/host0/block/sdb`);
  link("class/block/dm-0", "devices/virtual/block/dm-0");
  link("devices/virtual/block/dm-0/slaves/nvme0n1", `${first}/nvme/nvme0/nvme0n1`);
  const subsystem = "devices/virtual/nvme-subsystem/nvme-subsys1";
  link("class/block/nvme1n1", `${subsystem}/nvme1n1`);
  link(`${subsystem}/nvme1`, `${first}/nvme/nvme1`);
  link(`${subsystem}/nvme2`, `${second}/nvme/nvme2`);
  // /dev/null's number, as if that were the node of a device of the first function.
  link("dev/char/1:3", `${first}/nvme/nvme0`);
});

describe("a function is named", () => {
  test.each([
    ["0000:01:00.0", ["0000:01:00.0"]],
    ["01:00.1", ["0000:01:00.1"]],
    ["7f:1f.7", ["0000:7f:1f.7"]], // absent; who reads it says so
    ["10EE:7022", ["0000:01:00.0", "0000:01:00.1"]],
    ["1b36:000c", ["0000:00:02.0"]],
    ["1b36:000d", []],
    ["nvme0n1", ["0000:01:00.0"]],
    ["nvme0n1p1", ["0000:01:00.0"]],
    ["nvme1n1", ["0000:01:00.0", "0000:01:00.1"]],
    ["enp1s0f1", ["0000:01:00.1"]],
    ["/dev/null", ["0000:01:00.0"]],
    ["null", ["0000:01:00.0"]],
    ["sdb", []],
    ["dm-0", []],
    ["eth7", []],
    ["/dev/eth7", []],
    ["/dev/null/x", []],
    ["../block/nvme0n1", []],
    ["vfio-user:/tmp/x.sock", []],
    ["", []],
  ])("%s", (name, addresses) => {
    expect(functionsNamed(name, root)).toEqual(addresses);
  });
});

describe("where one is wanted", () => {
  test("the only one of its ids is found", () => {
    expect(functionNamed("1b36:000c", root)).toBe("0000:00:02.0");
  });

  test.each([
    [
      "10ee:7022",
      "10ee:7022 stands for several functions: 0000:01:00.0, 0000:01:00.1; name one by its address",
    ],
    ["nvme1n1", "nvme1n1 stands for several functions: 0000:01:00.0, 0000:01:00.1; name one by its address"],
    ["1B36:000D", "no PCI function has the ids 1b36:000d"],
    ["dm-0", "dm-0 belongs to no PCI function, but consists of nvme0n1"],
    [
      "sdb",
      "sdb hangs from the USB controller 0000:01:00.0, with all that is plugged into that: name the controller by its address",
    ],
    [
      "eth7",
      '"eth7" is not a PCI address; an address looks like 0000:00:09.0, or 00:09.0; and it is no vendor:device such as 1234:11e8, and no disk or network interface that is here',
    ],
  ])("%s is refused with the reason", (name, message) => {
    expect(() => functionNamed(name, root)).toThrow(new BusError(message));
  });
});
