/** Virtual functions: created, listed, opened through VFIO, by token, and removed. Devices: edu, and --device igb, which has up to 7. */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { openDevice } from "../../../src/index.ts";
import { bind, boundAddresses, release } from "../../../src/pci/bus/binding.ts";
import { listFunctions, readFunction } from "../../../src/pci/bus/functions.ts";
import { setVirtualFunctions } from "../../../src/pci/bus/sriov.ts";
import { addressesOf, bindTo, messageOf, rejection } from "./rig.ts";
import { verb, verbAsNobody } from "./verb.ts";

const found = listFunctions().find((of) => of.device === 0x10c9);
if (!found) throw new Error("the guest was started without igb");
const { address: igb, path } = found;
const [edu] = addressesOf("edu");
const ENABLE = "/sys/module/vfio_pci/parameters/enable_sriov";
const VF_ID = 0x10ca8086;
const TOKEN = "7f0c1c1e-58a0-4c53-9d0e-3b5a6d1f2a90";
const OTHER = "00000000-58a0-4c53-9d0e-3b5a6d1f2a90";

const vf = async (...words: string[]) => {
  const { exitCode, stdout, said } = await verb("vf", igb, ...words, "--json");
  return { exitCode, said, json: JSON.parse(stdout) };
};
const addresses = (json: { functions: { address: string }[] }) =>
  json.functions.map(({ address }) => address);
const create = async (count: number, autoprobe?: boolean) =>
  (await setVirtualFunctions(igb, count, { autoprobe })).functions.map(({ address }) => address) as [
    string,
    string,
  ];

afterEach(async () => {
  await setVirtualFunctions(igb, 0, { force: true, autoprobe: true });
  for (const address of boundAddresses()) await release(address, { force: true });
  if (existsSync(ENABLE)) writeFileSync(ENABLE, "N");
  expect(readFunction(igb).driver).toBe("igb");
  expect(readFileSync(`${path}/sriov_numvfs`, "utf8")).toBe("0\n");
});

describe("vf", () => {
  test("shows what a physical function can have and has, creates virtual ones, changes their number and removes them", async () => {
    const none = await vf();
    expect(none).toMatchObject({
      exitCode: 0,
      json: { address: igb, driver: "igb", total: 7, functions: [] },
    });
    const some = await vf("--count", "2");
    expect(some.json).toMatchObject({ deviceId: "0x10ca", stride: 2, autoprobe: true });
    const [device, fn] = igb
      .slice(8)
      .split(".")
      .map((digits) => Number.parseInt(digits, 16));
    const first = device! * 8 + fn! + some.json.offset;
    const at = (id: number) => `0000:00:${(id >> 3).toString(16).padStart(2, "0")}.${id & 7}`;
    expect(addresses(some.json)).toEqual([at(first), at(first + 2)]);
    // Behind an SMMU a function has no group until it has a driver.
    const groupOf = (address: string) => readFunction(address).iommuGroup?.number;
    expect(some.json.functions[0].iommuGroup?.number).toBe(groupOf(at(first)));
    // The kernel itself refuses this: EBUSY.
    expect(addresses((await vf("--count", "3")).json)).toHaveLength(3);
    expect((await verb("vf")).stdout).toBe(
      `${igb}, with igb: 3 of 7 virtual functions\n  8086:10ca 82576 Virtual Function, offset ${some.json.offset}, stride 2, autoprobe on\n${[0, 2, 4].map((i) => `  ${at(first + i)}  -  ${groupOf(at(first + i)) === undefined ? "no IOMMU group" : `IOMMU group ${groupOf(at(first + i))}`}\n`).join("")}`,
    );
    expect((await vf("--count", "0")).json.functions).toEqual([]);
  });

  test("list has them under their physical function", async () => {
    const [first, second] = await create(2);
    const rows = (await verb("list")).stdout.split("\n").map((row) => row.slice(0, 14).trimEnd());
    const at = rows.indexOf(igb);
    expect(rows.slice(at, at + 3)).toEqual([igb, `  ${first}`, `  ${second}`]);
    expect((await verb("list", first)).stdout).toContain(`\n${first}  `);
  });

  test("says who can't have any, what is too many, and what needs root", async () => {
    const [first] = await create(1);
    expect((await verb("vf", first)).said).toBe(
      `${first} is itself a virtual function, of ${igb}; bun run vf.ts ${igb} shows all of them`,
    );
    expect((await verb("vf", edu)).said).toStartWith(
      `${edu} can't have virtual functions: it has no SR-IOV capability`,
    );
    expect((await vf("--count", "8")).json).toEqual({
      error: `${igb} can have 0 to 7 virtual functions, not 8`,
    });
    expect((await verbAsNobody("vf", igb, "--count", "0")).said).toBe(
      `can't set the number of virtual functions of ${igb}: write ${path}/sriov_numvfs: EACCES: this needs root: run it with sudo`,
    );
  });

  test("removes none that is in use, but by force", async () => {
    const [first] = await create(1);
    await bindTo(first, "vfio-pci");
    const node = `/dev/vfio/${readFunction(first).iommuGroup!.number}`;
    const holder = Bun.spawn(["sh", "-c", `exec 3<>${node}; echo open; read word`], { stdin: "pipe" });
    await holder.stdout.getReader().read();
    const refused = await vf("--count", "2");
    const kept = readFunction(first).driver;
    const forced = await vf("--count", "2", "--force");
    holder.stdin.end();
    await holder.exited;
    expect(refused).toMatchObject({ exitCode: 1, json: {} });
    expect(refused.said).toBe(
      `virtual functions not removed, since they are in use:\n${first}: process ${holder.pid} (sh) has ${node} open\nbun run vf.ts ${igb} --count 2 --force removes them anyway`,
    );
    expect(kept).toBe("vfio-pci");
    expect(addresses(forced.json)).toHaveLength(2);
  });

  test("--autoprobe off leaves those that are created without a driver, and is remembered", async () => {
    expect((await vf("--autoprobe", "off")).json).toMatchObject({ autoprobe: false, functions: [] });
    expect(readFileSync(`${path}/sriov_drivers_autoprobe`, "utf8")).toBe("0\n");
    expect((await vf("--autoprobe", "on")).json.autoprobe).toBe(true);
  });
});

describe("through VFIO", () => {
  test("a virtual function has its ids, its registers and DMA", async () => {
    const [first] = await create(1);
    expect((await verb("bind", first)).exitCode).toBe(0);
    using device = openDevice(`vfio:${first}`);
    // Its own registers read as ones; VFIO fills them in.
    expect(readFileSync(`${readFunction(first).path}/config`).readUInt32LE(0)).toBe(0xffffffff);
    expect(device.config.read32(0)).toBe(VF_ID);
    expect(device.bars[0]!.read32(8)).not.toBe(0xffffffff);
    using memory = device.allocateDma(4096);
    expect(memory.sizeBytes).toBe(4096);
  });

  test("it takes no token while the kernel's driver has its physical function", async () => {
    const [first] = await create(1);
    await bindTo(first, "vfio-pci");
    expect(messageOf(() => openDevice(`${first}?vf_token=${TOKEN}`))).toBe(
      `${first}?vf_token=${TOKEN}: a VF token was given, but igb has the physical function ${igb}, not vfio-pci: open ${first} without a token`,
    );
    await bindTo(edu, "vfio-pci");
    expect(messageOf(() => openDevice(edu, { vfToken: TOKEN }))).toBe(
      `${edu}: a VF token was given, but ${edu} is not a virtual function, and has none: open it without a token`,
    );
    expect(messageOf(() => openDevice(`${edu}?vf_token=x`))).toBe(
      `${edu}?vf_token=x: the VF token "x" is not a UUID, such as ${TOKEN}`,
    );
    expect(messageOf(() => openDevice(`sysfs:${igb}?vf_token=${TOKEN}`))).toStartWith(
      `sysfs:${igb}?vf_token=${TOKEN}: a VF token was given, which only VFIO takes: `,
    );
  });
});

describe("of a physical function that vfio-pci has", () => {
  test("they are created only where that is allowed, and the message says how", async () => {
    await bindTo(igb, "vfio-pci");
    expect((await vf("--count", "1")).said).toBe(
      `the driver of ${igb} creates its virtual functions, and vfio-pci does so only if that is allowed: as root: echo Y > ${ENABLE}`,
    );
    await release(igb);
    writeFileSync("/sys/bus/pci/drivers/igb/unbind", igb);
    expect(await rejection(setVirtualFunctions(igb, 1))).toStartWith(
      `the driver of ${igb} creates its virtual functions, and it has none: `,
    );
    writeFileSync("/sys/bus/pci/drivers_probe", igb);
  });

  test("they are opened by the token that it was opened with, and by no other", async () => {
    await bind(igb);
    writeFileSync(ENABLE, "Y");
    const [first, second] = await create(2);
    expect(readFunction(first).driver).toBe("vfio-pci");
    const needed = `because its physical function is bound to vfio-pci: use the one that ${igb} was opened with, as ${igb}?vf_token=UUID`;
    const node = `/dev/vfio/${readFunction(first).iommuGroup!.number}`;
    {
      using physical = openDevice(`${igb}?vf_token=${TOKEN}`);
      expect(physical.config.read32(0)).toBe(0x10c98086);
      expect(messageOf(() => openDevice(first))).toBe(
        `${first}: ${node}: open ${first}: EACCES: it needs a VF token, ${needed}`,
      );
      expect(messageOf(() => openDevice(first, { vfToken: OTHER }))).toBe(
        `${first}: ${node}: open ${first}: EACCES: this is not its VF token, ${needed}`,
      );
      using virtual = openDevice(first, { vfToken: TOKEN });
      expect(virtual.config.read32(0)).toBe(VF_ID);
      using other = openDevice(`vfio:${second}?vf_token=${TOKEN.toUpperCase()}`);
      expect(other.config.read32(0)).toBe(VF_ID);
    }
    // While one is open, its physical function is opened by the same token only.
    using _virtual = openDevice(`${first}?vf_token=${TOKEN}`);
    expect(messageOf(() => openDevice(igb))).toEndWith(
      `EACCES: its virtual functions are in use, so it is opened only with the VF token that they were opened with: ${igb}?vf_token=UUID`,
    );
    using again = openDevice(`${igb}?vf_token=${TOKEN}`);
    expect(again.config.read32(0)).toBe(0x10c98086);
  });
});
