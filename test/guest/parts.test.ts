/** What guests are made with, piece by piece; boot.test.ts has them whole. */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ArgsDef } from "citty";
import { splitCommandLine } from "../../scripts/cli/command-line.ts";
import { mirrorOf } from "../../src/debian/archive.ts";
import {
  areMixed,
  needsDisk,
  parseDevice,
  placeDevices,
  type QemuDevice,
  vfioUserDevice,
  withProperties,
} from "../../src/guest/devices.ts";
import { MAX_KERNEL_BYTES } from "../../src/guest/limits.ts";
import { markedStream } from "../../src/guest/marked-stream.ts";
import { collectModules, modulesAlias, modulesDep } from "../../src/guest/modules.ts";
import { unpackKernel } from "../../src/guest/vmlinux.ts";
import "../../src/schemes.ts";

/** QEMU's own devices, by their specs. */
const qemuDevices = (...specs: string[]) => specs.map((spec) => parseDevice(spec) as QemuDevice);
const optionsOf = (devices: readonly QemuDevice[]) => devices.map(({ option }) => option);

test("what a command wrote is found between the tokens, wherever the stream is cut", () => {
  const stream = Buffer.from("noiseTOKENTOKETOTOKENS \0ÿ\nTO7\n".replace("TOKENS", "TOKEN"), "latin1");
  for (const size of [1, 2, 3, 5, 7, 100]) {
    const marked = markedStream("TOKEN");
    const written: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += size)
      written.push(Buffer.from(marked.feed(stream.subarray(at, at + size))));
    expect(Buffer.concat(written).toString("latin1")).toBe("TOKETO");
    expect(marked.rest).toBe(" \0ÿ\nTO7\n");
  }
});

test("nothing is held back for long: bytes that can't be the token's beginning come at once", () => {
  const marked = markedStream("TOKEN");
  expect(marked.started).toBe(false);
  expect(Buffer.from(marked.feed(Buffer.from("TOKENabcTO"))).toString()).toBe("abc");
  expect(marked.started).toBe(true);
  expect(Buffer.from(marked.feed(Buffer.from("p"))).toString()).toBe("TOp");
  expect(marked.rest).toBeUndefined();
});

test("a short name gets the properties that it needs, and keeps those that it was given", () => {
  const options = {
    edu: "edu",
    nvme: "nvme,serial=vfiokit",
    "nvme,addr=5,serial=mine": "nvme,addr=5,serial=mine",
    "pci-testdev": "pci-testdev,membar=8M,membar-backed=on",
    "pcie-pci-bridge,id=b": "pcie-pci-bridge,id=b",
    '{"driver":"edu","addr":"5"}': '{"driver":"edu","addr":"5"}',
  };
  expect(optionsOf(qemuDevices(...Object.keys(options)))).toEqual(Object.values(options));
});

test("a device of another kind is told by what stands before its colon", () => {
  expect(parseDevice("vfio-user:/a,b.sock")).toEqual({ kind: "vfio-user", socketPath: "/a,b.sock" });
  expect(parseDevice("model:vp9?codec=null")).toMatchObject({
    kind: "model",
    model: { query: "codec=null" },
  });
  expect(() => parseDevice("model:gpu")).toThrow('model:gpu: unknown model "gpu"; known: model:vp9');
});

test("a property is added in the form that the option has, and never twice", () => {
  const [words, json] = qemuDevices("edu,addr=5", '{"driver":"edu","addr":"5"}');
  expect(withProperties(words!, { addr: "6", drive: "d" }).option).toBe("edu,addr=5,drive=d");
  expect(withProperties(json!, { addr: "6", drive: "d" }).option).toBe(
    '{"driver":"edu","addr":"5","drive":"d"}',
  );
});

test("devices of both forms get slots in the order given; an address or a bus of their own stays", () => {
  const vfioUser = vfioUserDevice("/a.sock");
  const [edu] = qemuDevices("edu");
  expect([qemuDevices("edu", "nvme"), [vfioUser], [vfioUser, edu!]].map(areMixed)).toEqual([
    false,
    false,
    true,
  ]);
  const options = [
    "edu",
    "edu,addr=0x3",
    "edu,bus=b",
    '{"driver":"edu","addr":"5.1"}',
    "usb-kbd",
    "igb",
    '{"driver":"edu","addr":48}',
    '{"driver":"edu","bus":"pcie.0"}',
    "igb",
    "{broken",
  ];
  const placed = placeDevices(
    [vfioUser, ...qemuDevices(...options)],
    (name) => name !== "usb-kbd" && name !== "",
  );
  expect(optionsOf(placed)).toEqual([
    '{"driver":"vfio-user-pci","socket":{"path":"/a.sock","type":"unix"},"addr":"1"}',
    "edu,addr=2",
    ...options.slice(1, 5),
    "igb,romfile=,addr=4",
    '{"driver":"edu","addr":48}',
    '{"driver":"edu","bus":"pcie.0","addr":"5"}',
    "igb,romfile=,addr=7",
    "{broken",
  ]);
});

test("an nvme has a disk, unless it is given one", () => {
  expect(qemuDevices("nvme", "nvme,addr=7", "nvme,drive=mine", "edu").map(needsDisk)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test("the archive's address is the one that the machine's own apt has for Debian", () => {
  const oneLine =
    "deb-src http://a.example/debian x main\ndeb [arch=amd64] http://b.example/debian/ x main\n";
  expect(mirrorOf(oneLine)).toBe("http://b.example/debian");
  const deb822 = "Types: deb\nURIs: https://c.example/debian-security https://c.example/debian\nSuites: x\n";
  expect(mirrorOf(deb822)).toBe("https://c.example/debian");
  expect(
    mirrorOf("# deb http://d.example/debian x main\ndeb http://e.example/ubuntu x main\n"),
  ).toBeUndefined();
});

test("modules.alias names the devices that a module is for", () => {
  const info = ["", "license=GPL", "alias=pci:v*d*sv*sd*bc01sc08i02*", "alias=fs-x", "depends=vfio", ""];
  const data = new TextEncoder().encode(info.join("\0"));
  expect(modulesAlias([{ name: "my-disk", depends: [], data }])).toBe(
    "alias pci:v*d*sv*sd*bc01sc08i02* my_disk\nalias fs-x my_disk\n",
  );
});

test("modules.dep names what a module needs, the last to load first", () => {
  const module = (name: string, ...depends: string[]) => ({ name, depends, data: new Uint8Array() });
  const text = modulesDep([
    module("vfio"),
    module("irqbypass"),
    module("vfio-pci-core", "vfio", "irqbypass"),
    module("vfio-pci", "vfio_pci_core", "vfio", "built_in"),
  ]);
  expect(text.split("\n")).toEqual([
    "vfio.ko:",
    "irqbypass.ko:",
    "vfio-pci-core.ko: irqbypass.ko vfio.ko",
    "vfio-pci.ko: vfio-pci-core.ko irqbypass.ko vfio.ko",
    "",
  ]);
});

test("of a kernel's modules a guest gets those that are not built in; only some may be missing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-modules-"));
  try {
    mkdirSync(join(folder, "kernel"));
    writeFileSync(join(folder, "kernel/my_disk.ko"), "\0depends=built-in\0");
    writeFileSync(join(folder, "modules.builtin"), "kernel/drivers/built_in.ko\n");
    const namesOf = async (needed: string[], optional: string[]) =>
      (await collectModules(folder, needed, optional)).map(({ name }) => name);
    expect(await namesOf(["built-in"], ["built-in", "none"])).toEqual([]);
    expect(await namesOf(["built-in"], ["my-disk"])).toEqual(["my_disk"]);
    await expect(namesOf(["none"], [])).rejects.toThrow(`the kernel in ${folder} has no module none`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const args = {
  arch: { type: "enum", options: ["a", "b"] },
  device: { type: "string" },
  json: { type: "boolean" },
} satisfies ArgsDef;

test("a command begins at the first word that is no option, with or without --", () => {
  const options = ["--device", "edu", "--json", "--device=nvme", "--arch", "a"];
  for (const dashes of [[], ["--"]]) {
    const line = splitCommandLine([...options, ...dashes, "ls", "--json", "--", "-l"], args);
    expect(line.command).toEqual(["ls", "--json", "--", "-l"]);
    expect(line.options).toEqual(options);
    expect(line.all("device")).toEqual(["edu", "nvme"]);
  }
  expect(splitCommandLine(["--", "--odd", "x"], args).command).toEqual(["--odd", "x"]);
  expect(splitCommandLine(["--device"], args)).toMatchObject({ options: ["--device"], command: [] });
});

test("a kernel's image is unpacked only where QEMU can start what is in it, and it is no larger than a kernel", () => {
  const note = Buffer.alloc(12 + 4 + 8);
  note.writeUInt32LE(4, 0);
  note.writeUInt32LE(8, 4);
  note.write("Xen\0", 12);
  const elf = Buffer.alloc(0x40 + 0x38 + note.length);
  elf.writeUInt32LE(0x464c457f, 0);
  elf.writeBigUInt64LE(0x40n, 0x20);
  elf.writeUInt16LE(0x38, 0x36);
  elf.writeUInt16LE(1, 0x38);
  elf.writeUInt32LE(4, 0x40);
  elf.writeBigUInt64LE(0x78n, 0x48);
  elf.writeBigUInt64LE(BigInt(note.length), 0x60);
  const packed = (type: number) => {
    note.writeUInt32LE(type, 8);
    note.copy(elf, 0x78);
    const payload = Bun.zstdCompressSync(elf);
    const image = Buffer.alloc(1024 + payload.length + 4);
    image[0x1f1] = 1;
    image.write("HdrS", 0x202);
    image.writeUInt32LE(payload.length + 4, 0x24c);
    image.set(payload, 1024);
    return { elf: Buffer.from(elf), image };
  };
  const good = packed(18);
  expect(Buffer.from(unpackKernel(good.image)!).equals(good.elf)).toBe(true);
  expect(unpackKernel(packed(5).image)).toBeUndefined();
  const other = Buffer.from(good.image);
  other.writeUInt32LE(0, 1024);
  expect(unpackKernel(other)).toBeUndefined();
  expect(unpackKernel(new Uint8Array(4096))).toBeUndefined();
  good.image.writeUInt32LE(MAX_KERNEL_BYTES, good.image.length - 4);
  expect(unpackKernel(good.image)).toBeDefined();
  good.image.writeUInt32LE(MAX_KERNEL_BYTES + 1, good.image.length - 4);
  expect(unpackKernel(good.image)).toBeUndefined();
});
