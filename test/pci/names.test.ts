import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { openNames, type PciNames } from "../../src/pci/decode/names.ts";
import { tempFolder } from "../media/rig.ts";

const LIST = `#
# A list as pci.ids is one.
#
0001  First Vendor
\t7022  First's Device
10ee  Café & Söhne
# a comment within a vendor
\t7022  Encoder  with two spaces
\t\t10ee 0007  Board Seven
# a comment within a device

\t\t1111 0008  Somebody's Board
\t7023  Another
\t\t10ee 0008  Not of 7022
1111  Third
\t0009  Third's Device
ffff  Illegal Vendor ID
C 05  Memory controller
\t00  RAM memory
\t80  Memory controller
C 06  Bridge
\t04  PCI bridge
\t\t00  Normal decode
\t\t01  Subtractive decode
`;

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
let names: PciNames;
beforeAll(() => {
  const file = folder.file("pci.ids");
  writeFileSync(file, LIST);
  names = openNames([folder.file("absent"), file]);
});

test("a vendor's and a device's names are found, and only under their own vendor", () => {
  expect(names.vendor(0x10ee)).toBe("Café & Söhne");
  expect(names.device(0x10ee, 0x7022)).toBe("Encoder  with two spaces");
  expect(names.device(0x0001, 0x7022)).toBe("First's Device");
  expect(names.device(0x0001, 0x7023)).toBeUndefined();
  expect(names.vendor(0x1234)).toBeUndefined();
  expect(names.device(0x1234, 0x7022)).toBeUndefined();
});

test("a board's name is that under its device, and where it has the device's own ids the device's name", () => {
  expect(names.subsystem(0x10ee, 0x7022, 0x10ee, 0x0007)).toBe("Board Seven");
  expect(names.subsystem(0x10ee, 0x7022, 0x1111, 0x0008)).toBe("Somebody's Board");
  expect(names.subsystem(0x10ee, 0x7022, 0x10ee, 0x0008)).toBeUndefined();
  expect(names.subsystem(0x1111, 0x0009, 0x1111, 0x0009)).toBe("Third's Device");
});

test("a class has a name for each of its bytes, as far as the list goes", () => {
  expect(names.class(0x060401)).toEqual({
    base: "Bridge",
    sub: "PCI bridge",
    interface: "Subtractive decode",
  });
  expect(names.class(0x0580aa)).toEqual({
    base: "Memory controller",
    sub: "Memory controller",
    interface: undefined,
  });
  expect(names.class(0x990000)).toEqual({ base: undefined, sub: undefined, interface: undefined });
});

test("a vendor id that a class begins with is none of it", () => {
  expect(names.vendor(0x0005)).toBeUndefined();
});

test("without a list there are no names, and no error", () => {
  const none = openNames([folder.file("absent")]);
  expect([none.vendor(0x10ee), none.device(0x10ee, 0x7022), none.subsystem(1, 2, 3, 4)]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(none.class(0x058000).base).toBeUndefined();
});
