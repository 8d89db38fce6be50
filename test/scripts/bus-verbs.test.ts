/** list, bind, release, rescan, enable and doctor as commands on this machine, of which they change nothing here. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { shell, startScript } from "./rig.ts";

setDefaultTimeout(30_000);

const BUS = "/sys/bus/pci/devices";
/** Where no function is. */
const ABSENT = "7ffe:7f:1f.7";

async function run(verb: string, ...args: string[]) {
  const { exitCode, stdout, stderr } = await startScript(`${verb}.ts`, ...args).ended();
  expect(stderr).not.toContain("    at "); // no stack
  return { exitCode, stdout: new TextDecoder().decode(stdout), stderr };
}

describe("a command line that makes no sense ends with 2 and changes nothing", () => {
  test.each([
    ["bind", [], "the function's address is missing; --help has examples"],
    ["bind", ["9"], '"9" is not a PCI address; an address looks like 0000:00:09.0, or 00:09.0'],
    ["bind", [ABSENT, "eth999"], '"eth999" is not a PCI address'],
    ["vf", ["--count", "1"], "say whose virtual functions: the address of the physical function"],
    ["vf", [ABSENT, "--count", "-1"], "--count -1: it must be a whole number from 0"],
    ["vf", [ABSENT, "--autoprobe", "x"], "--autoprobe x: it must be one of on, off"],
    ["list", ["x"], '"x" is not a PCI address'],
    ["release", [], "say which function to release: its address, or --all"],
    ["release", [ABSENT, "--all"], "say which function to release: its address, or --all"],
    ["enable", ["--off"], "the function's address is missing"],
    ["rescan", [], "say what to rescan: a function's address, or --bus BUS, or --bus all"],
    [
      "rescan",
      ["--bus", "all", "--pause"],
      "nothing would be removed from the bus in between: name a function's address",
    ],
    ["rescan", [ABSENT, "--pause", "--", "true"], "either --pause or a command after --, not both"],
    ["rescan", [ABSENT, "--timeout", "0"], "--timeout 0: it must be a number of seconds"],
    ["setup", [], "say which functions: addresses, or VENDOR:DEVICE; --remove needs none"],
    ["setup", ["9"], '"9" is not a PCI address'],
    ["setup", ["7ffe:7ffe"], "no PCI function has the ids 7ffe:7ffe"],
    ["setup", [ABSENT, "--remove"], "--remove takes no functions, and no --write"],
    ["setup", [ABSENT, "--group", "A"], "--group A: it must be a group's name"],
    ["setup", [ABSENT, "--memlock", "0"], "--memlock 0: it must be a whole number from 1"],
    ["setup", [ABSENT, "--hugepages", "x"], "--hugepages x: it must be a whole number from 0"],
    ["doctor", ["x"], '"x" is not a PCI address'],
    ["resize", [ABSENT, "6", "8MiB"], "the BAR 6: it must be a whole number from 0 to 5"],
    ["resize", [ABSENT, "1"], "the BAR's size is missing"],
    ["resize", [ABSENT, "1", "3GiB"], "the size 3GiB: it must be a power of two with its unit"],
    ["resize", [ABSENT, "1", "8388608"], "the size 8388608: it must be a power of two with its unit"],
    ["list", ["--id", "10ee"], "--id 10ee: it must be VENDOR:DEVICE, such as 10ee:7022, 10ee: or :7022"],
    ["list", ["--class", "1"], "--class 1: it must be 2, 4 or 6 hexadecimal digits, such as 01 or 0108"],
    ["list", ["--group", "x"], "--group x: it must be a whole number from 0"],
  ] as const)("%s %j", async (verb, args, message) => {
    const { exitCode, stdout, stderr } = await run(verb, ...args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toContain(message);
  });
});

test.each(["bind", "release", "rescan", "enable", "vf", "doctor", "resize", "setup"])(
  "%s says that a function is not there, and ends with 1",
  async (verb) => {
    const { exitCode, stdout, stderr } = await run(verb, ABSENT);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toContain(`there is no PCI function ${ABSENT}; bun run list.ts shows those present`);
  },
);

test("bind says that no function has these ids, and ends with 1", async () => {
  const { exitCode, stderr } = await run("bind", "fffe:fffe");
  expect(exitCode).toBe(1);
  expect(stderr).toContain("no PCI function has the ids fffe:fffe; bun run list.ts shows them");
});

test("list --json has every function that sysfs has, in order, with all its keys", async () => {
  const { exitCode, stdout, stderr } = await run("list", "--json");
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  const functions = JSON.parse(stdout) as Record<string, unknown>[];
  const addresses = existsSync(BUS) ? readdirSync(BUS).sort() : [];
  expect(functions.map(({ address }) => address)).toEqual(addresses);
  for (const of of functions)
    expect(Object.keys(of)).toEqual([
      ...[
        "address",
        "class",
        "vendor",
        "device",
        "subsystemVendor",
        "subsystem",
        "revision",
        "names",
        "driver",
      ],
      ...["driverOverride", "iommuGroup", "numaNode", "irq", "bridge", "physicalFunction"],
    ]);
});

test("doctor --json has the same checks on every machine, each with a verdict", async () => {
  const { exitCode, stdout, stderr } = await run("doctor", "--json");
  expect(stderr).toBe("");
  const { system, functions } = JSON.parse(stdout);
  expect(system.map(({ check }: { check: string }) => check)).toEqual([
    ...["rights", "IOMMU", "interrupt remapping", "vfio-pci", "vfio_iommu_type1", "/dev/vfio/vfio"],
    ...["memlock limit", "noiommu mode", "uio_pci_generic", "lockdown", "hugepages"],
  ]);
  const findings = [...system, ...functions.flatMap((of: { findings: unknown[] }) => of.findings)];
  for (const { verdict } of findings)
    expect(["ok", "warning", "problem", "not applicable"]).toContain(verdict);
  expect(exitCode).toBe(findings.some(({ verdict }) => verdict === "problem") ? 1 : 0);
});

test("--json says in one object what failed, and what made no sense", async () => {
  // release says in an array of its own which failed.
  for (const verb of ["bind", "rescan", "enable", "doctor", "setup"])
    for (const [word, code, message] of [
      [ABSENT, 1, `there is no PCI function ${ABSENT}`],
      ["9", 2, '"9" is not a PCI address'],
    ] as const) {
      const { exitCode, stdout } = await run(verb, word, "--json");
      const value = JSON.parse(stdout);
      expect({ verb, exitCode, keys: Object.keys(value) }).toEqual({ verb, exitCode: code, keys: ["error"] });
      expect(value.error).toContain(message);
    }
});

test("--help in a pipe has no colours", async () => {
  const { stdout } = await shell("env -u NO_COLOR -u CI -u TEST TERM=xterm bun run list.ts --help");
  expect(new TextDecoder().decode(stdout)).not.toContain("\u001b");
});

test("every help text has examples and exit codes", async () => {
  for (const verb of ["list", "bind", "release", "rescan", "enable", "doctor", "setup"]) {
    const { exitCode, stdout } = await run(verb, "--help");
    expect({ verb, exitCode }).toEqual({ verb, exitCode: 0 });
    expect(stdout).toMatch(/Examples:\n {2}bun run /);
    expect(stdout).toContain("Exit codes: 0 ");
    expect(stdout).toContain("--json");
  }
});
