/**
 * list, bind, release, rescan, enable and doctor on real functions, with an IOMMU. Devices: edu, nvme, e1000e, and behind a
 * root port two edu functions of one device, which share an IOMMU group:
 * --device edu --device nvme --device e1000e --device pcie-root-port,id=root,chassis=1
 * --device edu,bus=root,addr=0.0,multifunction=on --device edu,bus=root,addr=0.1
 */
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { read32 } from "../../../src/os/access.ts";
import { O_RDWR, openFile } from "../../../src/os/fd.ts";
import { mapShared, PAGE_SIZE } from "../../../src/os/memory.ts";
import { bind, boundAddresses, release } from "../../../src/pci/bus/binding.ts";
import { BusError } from "../../../src/pci/bus/bus-error.ts";
import { changeCommand } from "../../../src/pci/bus/enable.ts";
import { listFunctions, type PciFunction, readFunction } from "../../../src/pci/bus/functions.ts";
import { rescan } from "../../../src/pci/bus/hotplug.ts";
import { openFds } from "../../os/open-fds.ts";
import { one } from "./rig.ts";
import { type Ended, tool, verb, verbAsNobody } from "./verb.ts";

const RECORDS = "/run/vfiokit/bindings";
/** docs/specs/edu.rst in QEMU. */
const EDU_ID = 0x010000ed;
const NEEDS_ROOT = "EACCES: this needs root: run it with sudo";

const start = listFunctions();
const isEdu = (of: PciFunction) => of.vendor === 0x1234 && of.device === 0x11e8;
const edu = one("edu", (of) => isEdu(of) && of.parent === undefined);
const nvme = one("nvme", (of) => of.classCode === 0x010802);
const nic = one("e1000e", (of) => of.device === 0x10d3);
const first = one("two edu functions", (of) => isEdu(of) && of.parent !== undefined);
const second = one("two edu functions", (of) => isEdu(of) && of.address === first.replace(/0$/, "1"));
const port = readFunction(first).parent!;

const attribute = (address: string, name: string) =>
  readFileSync(`/sys/bus/pci/devices/${address}/${name}`, "utf8").trim();
/** Without the new lines at its end. */
const lines = (ended: Ended) => ended.stdout.trimEnd().split("\n");
const failed = (said: string) => ({ exitCode: 1, stdout: "", said });

/** What must be as it was, whatever a test did. */
function state(): unknown {
  const records = existsSync(RECORDS) ? readdirSync(RECORDS) : [];
  const drivers = listFunctions().map((of) => [of.address, of.driver, of.driverOverride]);
  return { records, drivers };
}

let before: unknown;
beforeAll(() => {
  before = state();
});
afterEach(async () => {
  // What a failed test left must not fail the next one.
  const left = listFunctions().filter((of) => of.driverOverride !== undefined);
  for (const address of new Set([...boundAddresses(), ...left.map((of) => of.address)]))
    await release(address, { force: true });
  expect(state()).toEqual(before);
});

describe("list", () => {
  test("says of every function what lspci says", async () => {
    const json = JSON.parse((await verb("list", "--json")).stdout) as Record<string, string>[];
    const ours = json.map((of) => {
      const [classCode, vendor, device] = ["class", "vendor", "device"].map((key) => of[key]!.slice(2));
      return `${of.address} ${classCode!.slice(0, 4)}: ${vendor}:${device}${of.revision === "0x00" ? "" : ` (rev ${of.revision!.slice(2)})`}`;
    });
    const theirs = (await tool("lspci", "-Dn"))
      .split("\n")
      .map((line) => line.replace(/ \(prog-if.*?\)/, ""));
    expect(ours).toEqual(theirs);
  });

  test("shows what the filters ask for, and nothing where nothing fits", async () => {
    const addresses = async (...words: string[]) =>
      lines(await verb("list", ...words))
        .slice(1)
        .map((line) => line.split(" ")[0]);
    expect(await addresses("--id", "1234:11e8")).toEqual([edu, first, second].sort());
    expect(await addresses("--driver", "nvme")).toEqual([nvme]);
    expect(await addresses("--class", "0108")).toEqual([nvme]);
    expect(await addresses("--driver", "none", "--id", "1234:")).toEqual([edu, first, second].sort());
    expect(await verb("list", "--id", "ffff:")).toEqual({
      exitCode: 0,
      stdout: "",
      said: "no PCI function matches",
    });
  });
});

describe("bind and release", () => {
  test("a driver's function goes to vfio-pci, and back to that driver", async () => {
    const bound = await verb("bind", nvme);
    const group = readFunction(nvme).iommuGroup!.number;
    expect(bound).toEqual({
      exitCode: 0,
      stdout: `IOMMU group ${group}\n  ${nvme}  vfio-pci  with VFIO\n${nvme} went from nvme to vfio-pci\n`,
      said: "",
    });
    expect(readFunction(nvme)).toMatchObject({ driver: "vfio-pci", driverOverride: "vfio-pci" });
    expect(statSync(RECORDS).mode & 0o777).toBe(0o700);
    expect(readFileSync(`${RECORDS}/${nvme}.json`, "utf8")).toBe(
      '{"driver":"nvme","driverOverride":null,"boundTo":"vfio-pci"}\n',
    );

    expect((await verb("release", nvme)).stdout).toBe(`${nvme} went from vfio-pci back to nvme\n`);
    expect(readFunction(nvme)).toMatchObject({ driver: "nvme", driverOverride: undefined });
  });

  test("a second bind does not forget what the first one replaced", async () => {
    await verb("bind", nvme);
    expect((await verb("bind", nvme, "--driver", "uio_pci_generic")).exitCode).toBe(0);
    expect(readFunction(nvme).driver).toBe("uio_pci_generic");
    expect(JSON.parse((await verb("release", "--all", "--json")).stdout)).toEqual({
      released: [{ address: nvme, from: "uio_pci_generic", to: "nvme" }],
      failed: [],
    });
  });

  test("a function that had no driver has none afterwards, though one would take it", async () => {
    await tool("sh", "-c", `echo ${nvme} > /sys/bus/pci/drivers/nvme/unbind`);
    await verb("bind", nvme);
    expect((await verb("release", nvme)).stdout).toBe(`${nvme} went from vfio-pci back to no driver\n`);
    // Without a record the kernel chooses.
    expect((await verb("release", nvme)).stdout).toBe(`${nvme} went from no driver back to nvme\n`);
  });

  test("--dry-run says what would happen, and nothing does", async () => {
    const { exitCode, stdout } = await verb("bind", nvme, "--dry-run", "--json");
    expect({ exitCode, json: JSON.parse(stdout) }).toMatchObject({
      exitCode: 0,
      json: { dryRun: true, changes: [{ address: nvme, from: "nvme", to: "vfio-pci" }], uses: [] },
    });
    expect(state()).toEqual(before);
  });

  test("a driver that refuses leaves everything as it was, and says why", async () => {
    expect(await verb("bind", nic, "--driver", "virtio-pci")).toEqual(
      failed(
        `can't bind ${nic} to virtio-pci: write /sys/bus/pci/drivers/virtio-pci/bind: ENODEV: the driver does not know this device, or failed to start it: dmesg | tail may say why`,
      ),
    );
    expect(readFunction(nic)).toMatchObject({ driver: "e1000e", driverOverride: undefined });
  });

  test("a driver that the kernel does not have is not to be had by modprobe, and the message says so", async () => {
    expect(await verb("bind", edu, "--driver", "vfio_absent")).toEqual(
      failed(
        "this kernel has no driver vfio_absent, and no module of that name to load: if the name is right, install the distribution's full kernel, or its package of extra modules",
      ),
    );
  });

  test("a bridge is refused", async () => {
    expect(await verb("bind", port)).toEqual(
      failed(
        `${port} is a bridge, which vfio-pci does not support: bind the functions behind it; the bridge may stay in their group as it is`,
      ),
    );
  });

  test("without root nothing changes, and the message says so", async () => {
    const { path } = readFunction(edu);
    expect(await verbAsNobody("bind", edu)).toEqual(
      failed(`can't bind ${edu}: write ${path}/driver_override: ${NEEDS_ROOT}`),
    );
    expect(await verbAsNobody("release", edu)).toEqual(
      failed(`can't release ${edu}: write ${path}/driver_override: ${NEEDS_ROOT}`),
    );
    expect(await verbAsNobody("enable", edu)).toEqual(
      failed(`can't open for writing configuration space of ${edu}: ${NEEDS_ROOT}`),
    );
    expect(await verbAsNobody("rescan", edu)).toEqual(
      failed(`can't remove ${edu}: write ${path}/remove: ${NEEDS_ROOT}`),
    );
  });
});

describe("an IOMMU group of two", () => {
  test("is not viable while another driver has a member; --group takes the rest, release gives all back", async () => {
    await bind(second, "uio_pci_generic", { group: false, force: false });
    await release(second, { force: false });
    writeFileSync(`/sys/bus/pci/devices/${second}/driver_override`, "uio_pci_generic");
    writeFileSync("/sys/bus/pci/drivers_probe", second);
    expect(readFunction(second).driver).toBe("uio_pci_generic");

    const alone = await verb("bind", first);
    const group = readFunction(first).iommuGroup!.number;
    // On some machines the port above is of the group, too.
    const withPort = readFunction(port).iommuGroup?.number === group;
    const bridge = `  ${port}  pcieport         a bridge, fine as it is`;
    expect(alone).toEqual({
      exitCode: 0,
      stdout: [
        `IOMMU group ${group}`,
        ...(withPort ? [bridge] : []),
        `  ${first}  vfio-pci         with VFIO`,
        `  ${second}  uio_pci_generic  uio_pci_generic keeps the group from VFIO`,
        `${first} went from no driver to vfio-pci`,
        "",
      ].join("\n"),
      said: `VFIO can't use the group yet: ${second} (uio_pci_generic); bun run bind.ts ${first} --group binds the rest`,
    });
    const doctor = await verb("doctor", first);
    expect(doctor.exitCode).toBe(1);
    expect(doctor.stdout).toMatch(
      new RegExp(
        `PROBLEM  IOMMU group +${group} is not viable; members with another driver: ${second} \\(uio_pci_generic\\)\n +fix: bun run bind.ts ${first} --group\n`,
      ),
    );

    const both = JSON.parse((await verb("bind", first, "--group", "--json")).stdout);
    expect(both).toMatchObject({
      changes: [{ address: second, from: "uio_pci_generic", to: "vfio-pci" }],
      group: { number: group, viable: true },
    });
    await verb("release", "--all");
    expect(readFunction(second)).toMatchObject({
      driver: "uio_pci_generic",
      driverOverride: "uio_pci_generic",
    });
    // Nobody recorded what the test itself did.
    expect((await verb("release", second)).stdout).toBe(
      `${second} went from uio_pci_generic back to no driver\n`,
    );
  });
});

describe("a function in use", () => {
  test("a network interface with an address is not taken away, but by force", async () => {
    const name = readdirSync(`/sys/bus/pci/devices/${nic}/net`)[0]!;
    await tool("sh", "-c", `ip link set ${name} up; ip addr add 10.9.9.9/24 dev ${name}`);
    expect(await verb("bind", nic)).toEqual(
      failed(
        `not bound, since it is in use:\n${nic}: ${name} is up with 10.9.9.9\nbun run bind.ts ${nic} --force binds it anyway`,
      ),
    );
    await tool("ip", "route", "add", "default", "via", "10.9.9.1");
    const dry = await verb("bind", nic, "--dry-run", "--json");
    expect({ exitCode: dry.exitCode, uses: JSON.parse(dry.stdout).uses }).toEqual({
      exitCode: 1,
      uses: [`${nic}: ${name} carries the default route`, `${nic}: ${name} is up with 10.9.9.9`],
    });
    expect((await verb("rescan", nic)).said).toStartWith("not removed, since it is in use:\n");
    expect((await verb("bind", nic, "--force")).exitCode).toBe(0);
    expect((await verb("release", nic)).stdout).toBe(`${nic} went from vfio-pci back to e1000e\n`);
  });

  test("one that a process holds through VFIO is not released, and the process is named", async () => {
    await verb("bind", edu);
    const node = `/dev/vfio/${readFunction(edu).iommuGroup!.number}`;
    await using holder = Bun.spawn(["sh", "-c", `exec 3<>${node}; echo open; read word`], { stdin: "pipe" });
    await holder.stdout.getReader().read();
    const use = `process ${holder.pid} (sh) has ${node} open`;
    expect(await verb("release", edu)).toEqual(
      failed(
        `${edu} not released, since it is in use:\n${use}\nbun run release.ts ${edu} --force releases it anyway`,
      ),
    );
    expect(await verb("bind", edu, "--driver", "uio_pci_generic")).toEqual(
      failed(
        `not bound, since it is in use:\n${edu}: ${use}\nbun run bind.ts ${edu} --driver uio_pci_generic --force binds it anyway`,
      ),
    );
    expect(await verb("rescan", edu)).toEqual(
      failed(
        `not removed, since it is in use:\n${edu}: ${use}\nbun run rescan.ts ${edu} --force removes it anyway`,
      ),
    );
    const { stdout, exitCode } = await verb("doctor", edu);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(
      new RegExp(
        `PROBLEM  group's node +EBUSY: ${node} is held by process ${holder.pid} \\(sh\\)\n +fix: kill ${holder.pid}\n`,
      ),
    );
    holder.stdin.end();
    await holder.exited;
    expect((await verb("release", edu)).exitCode).toBe(0);
  });
});

describe("what the machine itself needs", () => {
  test("a virtio function whose file system is mounted is in use", async () => {
    const virtio = start.filter((of) => of.driver === "virtio-pci");
    const dry = await Promise.all(virtio.map((of) => verb("bind", of.address, "--dry-run", "--json")));
    const mounted = dry.flatMap(({ stdout }) => JSON.parse(stdout).uses as string[]);
    const shares = readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .map((line) => line.split(" "))
      .filter(([, , type]) => type === "9p" || type === "virtiofs");
    expect(new Set(shares.map(([, , type]) => type)).size).toBe(2);
    for (const [source, where, type] of shares)
      expect(mounted).toContainEqual(expect.stringContaining(`${type} ${source} is mounted on ${where}`));
    // Each by its own tag, so on one function only.
    expect(mounted.filter((use) => / (9p|virtiofs) /.test(use))).toHaveLength(shares.length);
  });

  test("the host bridge is in use", async () => {
    const host = one("a host bridge", (of) => of.classCode === 0x060000);
    expect(await verb("bind", host)).toEqual(
      failed(
        `not bound, since it is in use:\n${host}: it is the host bridge, which the machine itself needs\nbun run bind.ts ${host} --force binds it anyway`,
      ),
    );
    const { stdout } = await verb("doctor", host);
    expect(stdout).not.toContain(`bind.ts ${host}`);
  });
});

describe("rescan", () => {
  test("a device goes with all its functions, and each gets its driver back", async () => {
    await verb("bind", first);
    const { exitCode, stdout, said } = await verb("rescan", first, nvme, "--", "ls", "/sys/bus/pci/devices");
    expect(exitCode).toBe(0);
    expect(said).not.toContain(first);
    expect(said).not.toContain(second);
    expect(said).not.toContain(nvme);
    expect(said).toContain(edu);
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    expect(rows).toEqual(
      [
        [nvme, "back", "1b36:0010", "driver nvme"],
        [first, "back", "1234:11e8", "driver vfio-pci"],
        [second, "back", "1234:11e8", "driver none"],
      ].sort(),
    );
    expect(readFunction(first)).toMatchObject({ driver: "vfio-pci", driverOverride: "vfio-pci" });
    expect((await verb("release", first)).stdout).toBe(`${first} went from vfio-pci back to no driver\n`);
  });

  test("what the command prints does not spoil --json", async () => {
    const { stdout, said } = await verb("rescan", nvme, "--json", "--", "echo", "programming");
    expect(JSON.parse(stdout).functions).toMatchObject([{ address: nvme, fate: "back" }]);
    expect(said).toBe("programming");
  });

  test("what was unbound by hand stays without a driver", async () => {
    writeFileSync("/sys/bus/pci/drivers/nvme/unbind", nvme);
    expect(JSON.parse((await verb("rescan", nvme, "--json")).stdout)).toEqual({
      functions: [
        {
          address: nvme,
          fate: "back",
          before: { vendor: "0x1b36", device: "0x0010", driver: null },
          after: { vendor: "0x1b36", device: "0x0010", driver: null },
          error: null,
        },
      ],
    });
    await verb("release", nvme);
  });

  test("when the command fails everything comes back all the same", async () => {
    expect(await verb("rescan", nvme, "--", "sh", "-c", "exit 3")).toEqual(
      failed("sh -c exit 3 ended with exit code 3"),
    );
    expect(readFunction(nvme).driver).toBe("nvme");
    expect((await verb("rescan", nvme, "--", "no-such-program")).said).toStartWith(
      "can't run no-such-program: ",
    );
    expect(readFunction(nvme).driver).toBe("nvme");
  });

  test("what does not come back is gone, what appears is new", async () => {
    const bus = `${first.slice(5, 7)}`;
    // A bridge that passes nothing on: secondary bus number, PCIe 6.0 section 7.5.1.3.4.
    const gone = await verb("rescan", first, "--timeout", "1", "--", "setpci", "-s", port, "19.b=0");
    await tool("setpci", "-s", port, `19.b=${bus}`);
    expect(gone.exitCode).toBe(1);
    expect(lines(gone).map((line) => line.split(/ {2,}/))).toEqual([
      [first, "gone", "1234:11e8", "driver was none"],
      [second, "gone", "1234:11e8", "driver was none"],
    ]);
    expect(gone.said).toContain(`${first} did not come back within 1 s`);
    expect(readFunction.bind(null, first)).toThrow(new BusError(`there is no PCI function ${first}`));

    const found = await verb("rescan", "--bus", bus);
    expect({ exitCode: found.exitCode, rows: lines(found).map((line) => line.split(/ {2,}/)) }).toEqual({
      exitCode: 0,
      rows: [
        [first, "new", "1234:11e8", "driver none"],
        [second, "new", "1234:11e8", "driver none"],
      ],
    });
    expect((await verb("rescan", "--bus", "all")).stdout).toBe("nothing new\n");
  });
});

describe("enable", () => {
  const setpci = (address: string) => tool("setpci", "-s", address, "COMMAND");
  const bits = async () => Number.parseInt(await setpci(edu), 16) & 0x7;

  test("turns memory decode and bus mastering on and off, and leaves the other bits alone", async () => {
    await tool("setpci", "-s", edu, "COMMAND=0:7");
    const rest = Number.parseInt(await setpci(edu), 16);
    const hex = (value: number) => `0x${(rest | value).toString(16).padStart(4, "0")}`;
    expect((await verb("enable", edu, "--memory")).stdout).toBe(
      `${edu}  before  I/O- Mem- BusMaster-  (${hex(0)})\n${edu}  after   I/O- Mem+ BusMaster-  (${hex(2)})\n`,
    );
    expect(await bits()).toBe(2);
    expect(JSON.parse((await verb("enable", edu, "--json")).stdout)).toEqual({
      address: edu,
      driver: null,
      before: { command: hex(2), io: false, memory: true, busMaster: false },
      after: { command: hex(6), io: false, memory: true, busMaster: true },
    });
    expect(attribute(edu, "enable")).toBe("1");
    await verb("enable", edu, "--off", "--bus-master");
    expect(await bits()).toBe(2);
    expect(attribute(edu, "enable")).toBe("1");
    await verb("enable", edu, "--off");
    expect(await bits()).toBe(0);
    expect(attribute(edu, "enable")).toBe("0");
  });

  test("reaches a function behind a bridge that is off, which the Command register alone does not", async () => {
    const identify = () => {
      using file = openFile(`/sys/bus/pci/devices/${first}/resource0`, O_RDWR);
      using region = mapShared(file.number, PAGE_SIZE);
      return read32(region.address);
    };
    const { driver } = readFunction(port);
    if (driver) writeFileSync(`/sys/bus/pci/drivers/${driver}/unbind`, port);
    await tool("setpci", "-s", port, "COMMAND=0:7");
    await tool("setpci", "-s", first, "COMMAND=2:7");
    expect(identify()).not.toBe(EDU_ID);
    await tool("setpci", "-s", first, "COMMAND=0:7");
    await verb("enable", first, "--memory");
    expect(identify()).toBe(EDU_ID);
    await verb("enable", first, "--off");
    expect(identify()).not.toBe(EDU_ID);
    if (driver) writeFileSync("/sys/bus/pci/drivers_probe", port);
  });

  test("a function that a driver has, or a process, is not turned off, but by force", async () => {
    const command = await setpci(nvme);
    expect(await verb("enable", nvme, "--off")).toEqual(
      failed(
        `${nvme} not turned off, since it is in use:\nnvme drives it\nbun run enable.ts ${nvme} --off --force turns it off anyway`,
      ),
    );
    expect(await setpci(nvme)).toBe(command);
    expect((await verb("enable", nvme, "--off", "--io", "--force")).exitCode).toBe(0);

    await using holder = Bun.spawn(
      ["sh", "-c", `exec 3</sys/bus/pci/devices/${edu}/resource0; echo open; read word`],
      {
        stdin: "pipe",
      },
    );
    await holder.stdout.getReader().read();
    expect(await verb("enable", edu, "--off", "--bus-master")).toEqual(
      failed(
        `${edu} not turned off, since it is in use:\nprocess ${holder.pid} (sh) has resource0 open\nbun run enable.ts ${edu} --off --bus-master --force turns it off anyway`,
      ),
    );
    holder.stdin.end();
    await holder.exited;
  });

  test("says so when a driver is bound", async () => {
    expect((await verb("enable", nvme, "--memory")).said).toBe(
      `${nvme} is bound to nvme, which sets these bits itself and may change them again`,
    );
  });
});

describe("doctor", () => {
  interface Finding {
    check: string;
    verdict: string;
    text: string;
    fix: string | null;
  }
  const examine = (ended: Ended) =>
    JSON.parse(ended.stdout) as { system: Finding[]; functions: { address: string; findings: Finding[] }[] };
  const verdicts = (findings: Finding[]) =>
    Object.fromEntries(findings.map(({ check, verdict }) => [check, verdict]));

  test("finds a machine with an IOMMU and a bound function in order", async () => {
    await verb("bind", edu);
    const ended = await verb("doctor", "--json");
    expect(ended.exitCode).toBe(0);
    const { system, functions } = examine(ended);
    expect(verdicts(system)).toMatchObject({
      rights: "ok",
      IOMMU: "ok",
      "interrupt remapping": process.arch === "x64" ? "ok" : "not applicable",
      "vfio-pci": "ok",
      vfio_iommu_type1: "ok",
      "/dev/vfio/vfio": "ok",
      "memlock limit": "ok",
      "noiommu mode": "not applicable",
      lockdown: "ok",
    });
    expect(functions.map(({ address }) => address)).toEqual([edu]);
    expect(verdicts(functions[0]!.findings)).toEqual({
      link: "ok",
      power: "ok",
      driver: "ok",
      driver_override: "ok",
      use: "ok",
      "IOMMU group": "ok",
      "group's node": "ok",
      "region addresses": "ok",
      "memory decode": "ok",
      "bus master": "ok",
      "resource files": "ok",
    });
  });

  test("decode off, bus mastering left on, and an override left over are found with the command that helps", async () => {
    await tool("setpci", "-s", edu, "COMMAND=4:7");
    writeFileSync(`/sys/bus/pci/devices/${edu}/driver_override`, "left-over");
    const { findings } = examine(await verb("doctor", edu, "--json")).functions[0]!;
    await tool("setpci", "-s", edu, "COMMAND=0:7");
    const of = (check: string) => findings.find((finding) => finding.check === check);
    expect(of("memory decode")).toEqual({
      check: "memory decode",
      verdict: "warning",
      text: "off: its regions do not answer ([disabled] in lspci)",
      fix: `bun run enable.ts ${edu} --memory`,
    });
    expect(of("bus master")).toEqual({
      check: "bus master",
      verdict: "warning",
      text: "on without a driver: it may still do DMA",
      fix: `bun run enable.ts ${edu} --bus-master --off`,
    });
    expect(of("driver_override")).toEqual({
      check: "driver_override",
      verdict: "warning",
      text: "left-over is left over: no other driver can bind to it",
      fix: `bun run release.ts ${edu}`,
    });
    expect((await verb("release", edu)).exitCode).toBe(0);
  });

  test("a function that sleeps is found, and what the advice says wakes it up", async () => {
    const power = async () => {
      const { findings } = examine(await verb("doctor", nvme, "--json")).functions[0]!;
      return findings.find(({ check }) => check === "power")!;
    };
    const on = { check: "power", verdict: "ok", text: "on (D0)", fix: null };
    const folder = `/sys/bus/pci/devices/${nvme}`;
    await tool("sh", "-c", `echo ${nvme} > ${folder}/driver/unbind`);
    expect(await power()).toEqual(on);
    await tool("sh", "-c", `echo auto > ${folder}/power/control`);
    while (attribute(nvme, "power/runtime_status") !== "suspended") await Bun.sleep(10);
    const suspended = await power();
    expect(suspended).toMatchObject({ verdict: "warning", fix: `echo on > ${folder}/power/control` });
    await tool("sh", "-c", suspended.fix!);
    expect(await power()).toEqual(on);
    await tool("setpci", "-s", nvme, "CAP_PM+4.w=3:3");
    const asleep = await power();
    expect(asleep).toEqual({
      check: "power",
      verdict: "problem",
      text: "D3hot: its regions do not answer",
      fix: `echo 1 > ${folder}/enable`,
    });
    await tool("sh", "-c", asleep.fix!);
    expect(await power()).toEqual(on);
    await tool("sh", "-c", `echo 0 > ${folder}/enable; echo ${nvme} > /sys/bus/pci/drivers_probe`);
    // vfio-pci lets it sleep while nobody has it open, which is as it should be.
    await verb("bind", nvme);
    while (attribute(nvme, "power/runtime_status") !== "suspended") await Bun.sleep(10);
    expect(await power()).toMatchObject({ verdict: "ok", text: "D3hot until vfio-pci uses it" });
    await verb("release", nvme);
  });

  test("a user without rights reads which of them are missing", async () => {
    await verb("bind", edu);
    const { system, functions } = examine(await verbAsNobody("doctor", edu, "--json"));
    const node = `/dev/vfio/${readFunction(edu).iommuGroup!.number}`;
    expect(verdicts(system)).toMatchObject({ rights: "warning", "memlock limit": "warning" });
    expect(functions[0]!.findings.find(({ check }) => check === "group's node")).toEqual({
      check: "group's node",
      verdict: "problem",
      text: `EACCES: this user may not open ${node}`,
      fix: `sudo chown "$(id -u)" ${node}; or for good: bun run setup.ts ${edu}`,
    });
  });
});

test("50 rounds of bind, enable, rescan and release leave nothing behind", async () => {
  const open = () => openFds("self");
  const groups = () => readdirSync("/sys/kernel/iommu_groups").length;
  const children = () =>
    readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").split(" ").filter(Boolean).length;
  const round = async () => {
    await bind(edu, "vfio-pci", { group: false, force: false });
    await rescan({ addresses: [edu], bus: undefined, force: false, timeoutMs: 10_000 });
    expect(readFunction(edu).driver).toBe("vfio-pci");
    await release(edu, { force: false });
    const bits = { io: false, memory: true, busMaster: true };
    changeCommand(readFunction(edu), bits, true);
    changeCommand(readFunction(edu), bits, false);
  };
  // The first one opens what stays open, such as the event loop's own.
  await round();
  const atFirst = { open: open(), groups: groups(), children: children() };
  for (let i = 0; i < 50; i++) await round();
  expect({ open: open(), groups: groups(), children: children() }).toEqual(atFirst);
  expect(attribute(edu, "enable")).toBe("0");
  expect(state()).toEqual(before);
  expect(basename(readFunction(edu).path)).toBe(edu);
}, 180_000);
