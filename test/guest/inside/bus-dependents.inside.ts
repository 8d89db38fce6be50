/**
 * What hangs from a function, what others did to it by hand, and whether it answers. Devices: those of bus.inside.ts, and
 * --device igb, which has virtual functions.
 */
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { examineFunction } from "../../../src/doctor/function.ts";
import { gatherFunction } from "../../../src/doctor/gather.ts";
import { askFound } from "../../../src/doctor/registers.ts";
import { openDevice } from "../../../src/index.ts";
import { bind, boundAddresses, planBind, release } from "../../../src/pci/bus/binding.ts";
import { virtualFunctions } from "../../../src/pci/bus/dependents.ts";
import { changeCommand } from "../../../src/pci/bus/enable.ts";
import { readFunction } from "../../../src/pci/bus/functions.ts";
import { rescan } from "../../../src/pci/bus/hotplug.ts";
import { bindTo, messageOf, one, rejection } from "./rig.ts";
import { tool, verb } from "./verb.ts";

const igb = one("igb", (of) => of.device === 0x10c9);
const nvme = one("nvme", (of) => of.classCode === 0x010802);
const behind = one("edu behind a port", (of) => of.device === 0x11e8 && of.parent !== undefined);
const port = readFunction(behind).parent!;

const SYSFS = "/sys/bus/pci/devices";
const makeVirtual = (count: number) => writeFileSync(`${SYSFS}/${igb}/sriov_numvfs`, `${count}`);
/** The doctor's finding on a function that is named. */
const finding = (address: string, check: string) =>
  examineFunction(gatherFunction(readFunction(address), true)).find((each) => each.check === check)!;
const rescanOf = (address: string) =>
  rescan({ addresses: [address], bus: undefined, force: false, timeoutMs: 10_000 });

afterEach(async () => {
  for (const address of boundAddresses()) await release(address, { force: true });
});

describe("virtual functions", () => {
  let first: string;
  let second: string;
  beforeAll(() => {
    makeVirtual(2);
    [first, second] = virtualFunctions({ address: igb }).map(({ address }) => address) as [string, string];
  });

  test("are well although their own vendor ids read as ones", async () => {
    expect(await tool("setpci", "-s", first, "VENDOR_ID")).toBe("ffff");
    expect(finding(first, "link").verdict).toBe("ok");
    const bits = { io: false, memory: true, busMaster: true };
    changeCommand(readFunction(first), bits, true);
    using device = openDevice(`sysfs:${first}`);
    expect(device.config.read32(0)).toBe(0x10ca8086);
    expect(device.bars[0]!.read32(8)).not.toBe(0xffffffff);
    changeCommand(readFunction(first), bits, false);
  });

  test("can't be removed alone, and the message says what removes them", async () => {
    expect(await rejection(rescanOf(first))).toBe(
      `${first} is a virtual function, which can't be removed alone: echo 0 > ${SYSFS}/${igb}/sriov_numvfs removes it with the others, and writing a number instead of 0 creates that many; bun run rescan.ts ${igb} removes the device itself`,
    );
  });

  test("are a use of their physical one, with their drivers and whoever holds them", async () => {
    await bindTo(second, "vfio-pci");
    const node = `/dev/vfio/${readFunction(second).iommuGroup!.number}`;
    await using holder = Bun.spawn(["sh", "-c", `exec 3<>${node}; echo open; read word`], { stdin: "pipe" });
    await holder.stdout.getReader().read();
    const held = `its virtual function ${second}: process ${holder.pid} (sh) has ${node} open`;
    const uses = [
      `${igb}: ${held}`,
      `${igb}: its virtual functions disappear when its driver is unbound: ${first} (no driver), ${second} (vfio-pci); echo 0 > ${SYSFS}/${igb}/sriov_numvfs removes them`,
    ];
    const options = { group: false, force: false };
    expect(planBind(igb, "vfio-pci", options).uses).toEqual(uses);
    expect(await rejection(bind(igb, "vfio-pci", options))).toBe(
      `not bound, since it is in use:\n${uses.join("\n")}\nbun run bind.ts ${igb} --force binds it anyway`,
    );
    expect(await rejection(rescanOf(igb))).toBe(
      `not removed, since it is in use:\n${uses.join("\n")}\nbun run rescan.ts ${igb} --force removes it anyway`,
    );
    expect(finding(igb, "use").text).toContain(held);
    expect(readFunction(igb).driver).toBe("igb");
    expect(virtualFunctions({ address: igb })).toHaveLength(2);
    holder.stdin.end();
    await holder.exited;
  });

  test("do not come back with a rescan by force, and it says so; without them the function is taken as any", async () => {
    const { exitCode, stdout, said } = await verb("rescan", igb, "--force");
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    expect({ exitCode, rows }).toEqual({
      exitCode: 1,
      rows: [
        [igb, "back", "8086:10c9", "driver igb"],
        [first, "gone", "8086:10ca", "driver was none"],
        [second, "gone", "8086:10ca", "driver was none"],
      ],
    });
    expect(said).toContain(`${first} was a virtual function: ${igb}'s sriov_numvfs creates it again`);
    await bindTo(igb, "vfio-pci");
    expect(await release(igb, { force: false })).toMatchObject({ from: "vfio-pci", to: "igb" });
  });
});

test("after an unbinding by hand and another bind, release still gives the driver back and keeps no override", async () => {
  await bindTo(nvme, "vfio-pci");
  writeFileSync("/sys/bus/pci/drivers/vfio-pci/unbind", nvme);
  expect(readFunction(nvme)).toMatchObject({ driver: undefined, driverOverride: "vfio-pci" });
  await bindTo(nvme, "vfio-pci");
  expect(await release(nvme, { force: false })).toMatchObject({ from: "vfio-pci", to: "nvme" });
  expect(readFunction(nvme)).toMatchObject({ driver: "nvme", driverOverride: undefined });
});

describe("configuration space of what a driver has", () => {
  test("is read and written, a bridge's, too, and nothing else changes", async () => {
    const register = (address: string, name: string) => tool("setpci", "-s", address, name);
    const [control, command] = [await register(port, "BRIDGE_CONTROL"), await register(nvme, "COMMAND")];
    expect((await verb("peek", port, "config:0x3e", "--width", "16")).stdout).toBe(
      `0x0000003e  0x${control}\n`,
    );
    // VGA enable, which decides nothing here.
    const set = ["config:0x3e", "--width", "16", "--set", "8", "--read-back"];
    const written = (Number.parseInt(control, 16) | 8).toString(16).padStart(4, "0");
    expect((await verb("poke", port, ...set)).stdout).toEndWith(`0x0000003e  0x${written}\n`);
    await tool("setpci", "-s", port, `BRIDGE_CONTROL=${control}`);

    expect((await verb("peek", nvme, "config:0")).stdout).toBe("0x00000000  0x00101b36\n");
    expect(await register(nvme, "COMMAND")).toBe(command);
    expect(readFunction(nvme).driver).toBe("nvme");
  });

  test("is all that a bridge has here, and where a BAR is refused the message says what helps", async () => {
    expect(messageOf(() => openDevice(port))).toBe(
      `${port}: pcieport drives ${port}; its BARs can't be mapped while it does, and no driver for user space supports bridges; bun run peek.ts ${port} config:0 reads its configuration space`,
    );
    await bindTo(nvme, "vfio-pci");
    expect(messageOf(() => openDevice(`sysfs:${nvme}`))).toBe(
      `sysfs:${nvme}: vfio-pci has ${nvme}, so its BARs are mapped through VFIO: open it as ${nvme}, without sysfs; bun run release.ts ${nvme} unbinds it from vfio-pci`,
    );
  });
});

test("a function whose registers answer is asked for them by doctor and by rescan, whatever way reaches it", async () => {
  const alive = { verdict: "ok", text: "it answers: configuration space, and region 0" };
  const memory = { io: false, memory: true, busMaster: false };
  changeCommand(readFunction(behind), memory, true);
  expect(finding(behind, "link")).toMatchObject(alive);
  changeCommand(readFunction(behind), memory, false);
  // It is not turned on to be asked.
  expect(finding(behind, "link")).toMatchObject({ verdict: "ok", text: "its configuration space answers" });
  expect(askFound(readFunction(behind))).toEqual({ region: 0, silent: false });
  expect(readFunction(behind)).toMatchObject({ driver: undefined });
  await bindTo(behind, "vfio-pci");
  expect(finding(behind, "link")).toMatchObject(alive);
});
