/**
 * config reads and writes what setpci does, with any driver, and knows all of its names. Devices: edu, e1000e, and a root port:
 * --device edu --device e1000e --device pcie-root-port,id=root,chassis=1 --device edu,bus=root
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { release } from "../../../src/pci/bus/binding.ts";
import { readFunction } from "../../../src/pci/bus/functions.ts";
import { capabilityKinds, headerRegisters } from "../../../src/pci/decode/register-names.ts";
import { addressesOf, bindTo, one } from "./rig.ts";
import { tool, verb, verbAsNobody } from "./verb.ts";

const [edu] = addressesOf("edu");
const withDriver = (name: string) => one(`a device for ${name}`, ({ driver }) => driver === name);
const port = withDriver("pcieport");

const setpci = (address: string, ...operations: string[]) => tool("setpci", "-s", address, ...operations);

/** What config reads, in setpci's form: digits, one register a line. */
async function digits(address: string, ...operations: string[]): Promise<string> {
  const { exitCode, stdout, said } = await verb("config", address, ...operations, "--json");
  expect([exitCode, said]).toEqual([0, ""]);
  const { operations: done } = JSON.parse(stdout) as { operations: { values: string[] }[] };
  return done.map(({ values }) => values[0]!.slice(2)).join("\n");
}

test("every register and capability that setpci names has that name here, at the same place", async () => {
  const rows = (await tool("setpci", "--dumpregs")).split("\n").slice(1);
  const theirs = rows.map((row) => /^ *([0-9a-f]*) +([0-9a-f]+) ([BWL-]) (\w+)$/.exec(row)!.slice(1));
  const widths = { B: 1, W: 2, L: 4 };
  const wrong = theirs.filter(([id, offset, letter, name]) => {
    if (letter !== "-") {
      const ours = headerRegisters.find((register) => register.name === name);
      const sizeBytes = widths[letter as keyof typeof widths];
      return ours?.offset !== Number.parseInt(offset!, 16) || ours.sizeBytes !== sizeBytes;
    }
    const ours = capabilityKinds.find(({ shortName }) => shortName === name);
    return ours?.id !== Number.parseInt(id!, 16) || ours.extended !== name!.startsWith("ECAP");
  });
  expect(theirs.length).toBeGreaterThan(100);
  expect(wrong).toEqual([]);
});

describe.each([
  ["pcieport", ["PRIMARY_BUS", "SEC_STATUS", "PREF_MEMORY_BASE", "BRIDGE_CONTROL"]],
  ["e1000e", ["SUBSYSTEM_ID", "ROM_ADDRESS", "CAP_MSIX+2.w", "ECAP_DSN+4.l"]],
])("a function that %s has", (driver, special) => {
  const address = withDriver(driver);
  /** In both languages. */
  const common = [
    ...["VENDOR_ID", "command", "STATUS", "VENDOR_ID+1.b", "COMMAND.L", "34.b", "3c.w", "CLASS_DEVICE"],
    ...[
      "CAP_EXP+0.l",
      "CAP_EXP+8.w",
      "CAP10+12.w",
      "cap_exp+1.b",
      "ECAP_AER+0.l",
      "ECAP1+8.l",
      "ECAP_AER+14.w",
    ],
  ];
  const control = "CAP_EXP+8.w";
  const mask = "ECAP_AER+14.l";
  let before: string[];
  beforeEach(async () => {
    before = [await setpci(address, control), await setpci(address, mask)];
  });
  afterEach(async () => {
    await setpci(address, `${control}=${before[0]}`, `${mask}=${before[1]}`);
  });

  test("reads as setpci reads it", async () => {
    const operations = [...common, ...special];
    expect(await digits(address, ...operations)).toBe(await setpci(address, ...operations));
  });

  test("is written as setpci writes it, by name and mask, and keeps its driver", async () => {
    const written = ((Number.parseInt(before[0]!, 16) & ~0x70f) | 0x105).toString(16).padStart(4, "0");
    const register = "CAP_EXP.deviceControl";
    const operations = [`${register}=105:70f`, `${mask}=0`, "ECAP_AER.correctableErrorMask=ffffffff:1041"];
    const { exitCode, stdout } = await verb("config", address, ...operations, "--read-back");
    const after = [await setpci(address, control), await setpci(address, mask)];
    const lines = stdout.split("\n").map((line) => line.replace(/ +/g, " "));
    expect(exitCode).toBe(0);
    expect(lines[0]).toBe(`${register} <- 0x${written}`);
    // QEMU's e1000e keeps none of these bits.
    const first = Number.parseInt(after[0]!, 16) & 1 ? "+" : "-";
    expect(lines[1]).toStartWith(`${register} 0x${after[0]} CorrErr${first} NonFatalErr- `);
    expect(lines).toContain("ECAP_AER.correctableErrorMask <- 0x00001041");
    // setpci gets the same from the same.
    await setpci(
      address,
      `${control}=${before[0]}`,
      `${control}=105:70f`,
      `${mask}=0`,
      `${mask}=ffffffff:1041`,
    );
    expect([await setpci(address, control), await setpci(address, mask)]).toEqual(after);
    expect(after).not.toEqual(before);
    expect(after[1]).toBe("00001041");
    expect(readFunction(address).driver).toBe(driver);
  });

  test("is left alone by a dry run", async () => {
    const { exitCode, stdout } = await verb(
      "config",
      address,
      `${control}=fff:fff`,
      `${mask}=1`,
      "--dry-run",
    );
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`${control}    0x${before[0]} -> 0x${before[0]![0]}fff\n`);
    expect(stdout).toEndWith(`${mask}  0x${before[1]} -> 0x00000001\n`);
    expect([await setpci(address, control), await setpci(address, mask)]).toEqual(before);
  });
});

describe("without privileges", () => {
  test("a function's header can be read, and the message says what needs root", async () => {
    const { stdout, exitCode } = await verbAsNobody("config", port, "VENDOR_ID", "PRIMARY_BUS");
    expect(exitCode).toBe(0);
    expect(stdout).toBe(`VENDOR_ID    0x${await setpci(port, "VENDOR_ID")}\nPRIMARY_BUS  0x00\n`);
    const read = await verbAsNobody("config", port, "CAP_EXP+8.w");
    expect(read.exitCode).toBe(1);
    expect(read.said).toContain("beyond byte 64 it needs root: run it with sudo");
  });

  test("nothing can be written", async () => {
    const { exitCode, stdout, said } = await verbAsNobody("config", port, "COMMAND=6:6");
    expect([exitCode, stdout]).toEqual([1, ""]);
    expect(said).toContain("EACCES: this needs root: run it with sudo");
  });
});

describe("a function without PCI Express", () => {
  afterEach(async () => {
    if (readFunction(edu).driver !== undefined) await release(edu, { force: false });
  });

  test("has 256 bytes, and says so where more are asked for", async () => {
    const { exitCode, said } = await verb("config", edu, "ECAP_AER+8.l");
    expect(exitCode).toBe(1);
    expect(said).toContain(
      `${edu} has no ECAP_AER (Advanced Error Reporting); it has CAP_MSI at 0x40; extended ones begin at 0x100`,
    );
    expect((await verb("config", edu, "100.l")).said).toContain(
      `100.l: 0x103 is past the end of configuration space of ${edu}: it has 0x100 bytes: the function is conventional PCI`,
    );
  });

  test("is reached through VFIO when vfio-pci has it", async () => {
    await bindTo(edu, "vfio-pci");
    const { stdout } = await verb("config", edu, "COMMAND=400:400", "COMMAND", "CAP_MSI.messageControl");
    // Opening it turned memory decode and bus master on.
    expect(stdout).toMatch(
      /^COMMAND {16}<- 0x(0[45]0[67])\nCOMMAND {17}0x\1 {2}I\/O[+-] Mem\+ BusMaster\+ .* DisINTx\+\n/,
    );
    expect(stdout).toContain("CAP_MSI.messageControl  0x0080  Enable- Count=1/1 Maskable- 64bit+");
  });
});
