/** Functions by the names that users have for them, and several at once. Devices: those of bus.inside.ts. */
import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { boundAddresses, release } from "../../../src/pci/bus/binding.ts";
import { listFunctions, readFunction } from "../../../src/pci/bus/functions.ts";
import { one } from "./rig.ts";
import { tool, verb } from "./verb.ts";

const nvme = one("nvme", (of) => of.classCode === 0x010802);
const nic = one("e1000e", (of) => of.device === 0x10d3);
const edus = listFunctions()
  .filter((of) => of.vendor === 0x1234 && of.device === 0x11e8)
  .map(({ address }) => address);
const interfaceOf = (address: string) => readdirSync(`/sys/bus/pci/devices/${address}/net`)[0]!;
const drivers = () => [...edus, nvme, nic].map((address) => readFunction(address).driver ?? "none");
const untouched = [...edus.map(() => "none"), "nvme", "e1000e"];

afterEach(async () => {
  for (const address of boundAddresses()) await release(address, { force: true });
  expect(drivers()).toEqual(untouched);
});

describe("a function's other names", () => {
  test("its disk, that disk's node, its controller's node, its interface and its ids are as good as its address", async () => {
    const found = async (...names: string[]) =>
      (JSON.parse((await verb("list", ...names, "--json")).stdout) as { address: string }[]).map(
        ({ address }) => address,
      );
    for (const name of ["nvme0n1", "/dev/nvme0n1", "/dev/nvme0", "1b36:0010"])
      expect(await found(name)).toEqual([nvme]);
    expect(await found(interfaceOf(nic), "nvme0n1")).toEqual([nvme, nic].sort());
    expect(await found("1234:11e8")).toEqual(edus);

    expect((await verb("peek", "nvme0n1", "config:0")).stdout).toBe("0x00000000  0x00101b36\n");
    expect(JSON.parse((await verb("info", interfaceOf(nic), "--json")).stdout).address).toBe(nic);
    expect((await verb("reset", "/dev/nvme0", "--methods")).stdout).toContain("flr\n");
    expect((await verb("doctor", "nvme0n1")).stdout).toContain(`\n${nvme}\n`);
  });

  test("bind and release a function, whose disk is gone then; ids still name it", async () => {
    expect((await verb("bind", "nvme0n1")).stdout).toEndWith(`${nvme} went from nvme to vfio-pci\n`);
    expect((await verb("bind", "nvme0n1")).exitCode).toBe(2);
    expect(await verb("peek", "vfio:1b36:0010", "config:0")).toMatchObject({
      stdout: "0x00000000  0x00101b36\n",
      said: "",
    });
    expect((await verb("release", "1b36:0010")).stdout).toBe(`${nvme} went from vfio-pci back to nvme\n`);
  });

  test("where one is wanted, ids of several are refused, and all of these are named", async () => {
    expect(await verb("enable", "1234:11e8")).toEqual({
      exitCode: 2,
      stdout: "",
      said: `1234:11e8 stands for several functions: ${edus.join(", ")}; name one by its address`,
    });
  });

  test("a disk that is in use stays where it is, and so do the others of the command", async () => {
    const holder = Bun.spawn(["sh", "-c", "exec 3< /dev/nvme0n1; echo open; read word"], { stdin: "pipe" });
    await holder.stdout.getReader().read();
    const bound = await verb("bind", edus[0]!, "nvme0n1");
    holder.stdin.end();
    await holder.exited;
    expect(bound).toEqual({
      exitCode: 1,
      stdout: "",
      said: `not bound, since one is in use:\n${nvme}: process ${holder.pid} (sh) has /dev/nvme0n1 open\nbun run bind.ts ${edus[0]} ${nvme} --force binds 2 functions anyway`,
    });
  });
});

describe("several functions", () => {
  test("are bound and released by one command, each once, and --json is an array", async () => {
    const { exitCode, stdout } = await verb("bind", "1234:11e8", nvme, "nvme0n1", "--json");
    const bound = JSON.parse(stdout) as { address: string; changes: unknown; group: { viable: boolean } }[];
    expect(exitCode).toBe(0);
    expect(bound.map(({ address }) => address)).toEqual([...edus, nvme]);
    expect(bound.flatMap(({ changes }) => changes)).toEqual(
      [...edus, nvme].map((address) => {
        return { address, from: address === nvme ? "nvme" : null, to: "vfio-pci" };
      }),
    );
    expect(bound.every(({ group }) => group.viable)).toBe(true);
    expect(drivers()).toEqual([...edus, nvme].map(() => "vfio-pci").concat("e1000e"));
    const released = JSON.parse((await verb("release", ...edus, nvme, "--json")).stdout);
    expect(released).toMatchObject({ released: [{}, {}, {}, { address: nvme, to: "nvme" }], failed: [] });
  });

  test("are an array for ids even of one, and an object for an address", async () => {
    const json = async (name: string) => JSON.parse((await verb("bind", name, "--dry-run", "--json")).stdout);
    expect(await json("1b36:0010")).toEqual([await json(nvme)]);
  });

  test("of one group have each change once, and the group is shown once", async () => {
    const [first, second] = edus.filter((address) => readFunction(address).parent !== undefined) as [
      string,
      string,
    ];
    const { stdout } = await verb("bind", first, second, "--group");
    // One, unless this kernel parted them when they were found again.
    const groups = new Set([first, second].map((address) => readFunction(address).iommuGroup!.number));
    expect(stdout.match(/^IOMMU group /gm)).toHaveLength(groups.size);
    expect(stdout).toEndWith(
      `${first} went from no driver to vfio-pci\n${second} went from no driver to vfio-pci\n`,
    );
  });

  test("are all as before if one of them is refused, and the message names those that were put back", async () => {
    await tool("sh", "-c", `echo ${nvme} > /sys/bus/pci/drivers/nvme/unbind`);
    const { exitCode, said } = await verb("bind", nvme, edus[0]!, nic, "--driver", "nvme");
    expect(exitCode).toBe(1);
    expect(said).toStartWith(`can't bind ${edus[0]} to nvme: `);
    expect(said).toEndWith(`\nput back as before: ${nvme}`);
    expect(readFunction(nvme)).toMatchObject({ driver: undefined, driverOverride: undefined });
    expect(boundAddresses()).toEqual([]);
    await tool("sh", "-c", `echo ${nvme} > /sys/bus/pci/drivers_probe`);
  });

  test("are not touched if one of them can't be bound at all", async () => {
    const port = readFunction(edus.at(-1)!).parent!;
    expect((await verb("bind", nvme, port)).said).toStartWith(
      `${port} is a bridge, which vfio-pci does not support`,
    );
    expect(drivers()).toEqual(untouched);
  });
});
