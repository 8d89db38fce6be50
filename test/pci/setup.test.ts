/** The files of a set-up for use without root, and that no other file is touched. test/guest/setup.test.ts puts them to use. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { BusError } from "../../src/pci/bus/bus-error.ts";
import { MARK, paths, readSetup, removeFiles, setupFiles, writeFiles } from "../../src/pci/setup/files.ts";
import { groupNumber, runProgram } from "../../src/pci/setup/program.ts";
import { isGroupName } from "../../src/pci/setup/setup.ts";
import type { Setup } from "../../src/pci/setup/setup-record.ts";

const [RULES, MODULES, LIMITS, SYSCTL] = paths as [string, string, string, string];
const setup: Setup = {
  functions: [
    { address: "0000:00:09.0", vendor: 0x1234, device: 0x11e8 },
    { address: "0001:02:00.1", vendor: 0x8086, device: 0x00ff },
  ],
  group: "labs",
  memlockMib: 64,
  hugepages: 32,
  bindAtBoot: false,
  before: { groupExisted: false, hugepages: 3 },
};

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "vfiokit-setup-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const at = (path: string) => join(root, path);
const thrown = (act: () => unknown) => {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
};
const contentOf = (path: string, of: Setup = setup) =>
  setupFiles(of).find((file) => file.path === path)?.content;

describe("the files of a set-up", () => {
  test("are marked, and have the module, the limit in KiB, and the pages", () => {
    expect(setupFiles(setup).map(({ path }) => path)).toEqual([
      "/etc/udev/rules.d/70-vfiokit.rules",
      "/etc/modules-load.d/vfiokit.conf",
      "/etc/security/limits.d/vfiokit.conf",
      "/etc/sysctl.d/vfiokit.conf",
    ]);
    expect(contentOf(MODULES)).toBe(`${MARK}\nvfio-pci\n`);
    expect(contentOf(LIMITS)).toBe(`${MARK}\n@labs - memlock 65536\n`);
    expect(contentOf(SYSCTL)).toBe(`${MARK}\nvm.nr_hugepages = 32\n`);
    expect(contentOf(SYSCTL, { ...setup, hugepages: null })).toBeUndefined();
  });

  test("give the group each function's nodes and driver_override, at its address and with its ids, and vfio-pci's switches", () => {
    const rules = contentOf(RULES)!.split("\n");
    const of = (what: string) => rules.filter((line) => line.includes(what) && !line.startsWith("#"));
    expect(of('SUBSYSTEM=="vfio",')).toEqual([
      'SUBSYSTEM=="vfio", KERNEL=="[0-9]*", TEST=="/sys/kernel/iommu_groups/%k/devices/0000:00:09.0", ATTR{[pci/0000:00:09.0]vendor}=="0x1234", ATTR{[pci/0000:00:09.0]device}=="0x11e8", MODE="0660", RUN+="/bin/chgrp labs $devnode"',
      'SUBSYSTEM=="vfio", KERNEL=="[0-9]*", TEST=="/sys/kernel/iommu_groups/%k/devices/0001:02:00.1", ATTR{[pci/0001:02:00.1]vendor}=="0x8086", ATTR{[pci/0001:02:00.1]device}=="0x00ff", MODE="0660", RUN+="/bin/chgrp labs $devnode"',
    ]);
    expect(of('SUBSYSTEM=="vfio-dev"')[0]).toBe(
      'SUBSYSTEM=="vfio-dev", KERNELS=="0000:00:09.0", ATTRS{vendor}=="0x1234", ATTRS{device}=="0x11e8", MODE="0660", RUN+="/bin/chgrp labs $devnode"',
    );
    expect(of("driver_override")).toEqual([
      'ACTION!="remove", SUBSYSTEM=="pci", KERNEL=="0000:00:09.0", ATTR{vendor}=="0x1234", ATTR{device}=="0x11e8", RUN+="/bin/chgrp labs %S%p/driver_override", RUN+="/bin/chmod 0664 %S%p/driver_override"',
      'ACTION!="remove", SUBSYSTEM=="pci", KERNEL=="0001:02:00.1", ATTR{vendor}=="0x8086", ATTR{device}=="0x00ff", RUN+="/bin/chgrp labs %S%p/driver_override", RUN+="/bin/chmod 0664 %S%p/driver_override"',
    ]);
    expect(of('SUBSYSTEM=="drivers"')).toEqual([
      'ACTION!="remove", SUBSYSTEM=="drivers", DEVPATH=="/bus/pci/drivers/vfio-pci", RUN+="/bin/chgrp labs %S%p/bind %S%p/unbind", RUN+="/bin/chmod 0220 %S%p/bind %S%p/unbind", RUN+="/usr/bin/install -d -m 2770 -g labs /run/vfiokit/group-bindings"',
    ]);
    // The switches of the bus itself, and of other drivers, are for every function.
    expect(rules.join("\n")).not.toMatch(/drivers_probe|new_id|driver\/unbind/);
  });

  test("bind at boot only if that is asked for, and only when a function appears", () => {
    const bound = contentOf(RULES, { ...setup, bindAtBoot: true })!
      .split("\n")
      .filter((line) => !contentOf(RULES)!.includes(line) && !line.startsWith("#"));
    expect(bound).toHaveLength(2 * 3);
    for (const line of bound) expect(line).toStartWith('ACTION=="add", SUBSYSTEM=="pci", KERNEL=="000');
  });

  test("say what was set up, which is read from them", () => {
    expect(readSetup(root)).toBeUndefined();
    writeFiles(setupFiles(setup), root);
    expect(readSetup(root)).toEqual(setup);
    const text = readFileSync(at(RULES), "utf8");
    writeFileSync(at(RULES), text.replace("# set-up: {", "# set-up: "));
    expect(thrown(() => readSetup(root))).toBeInstanceOf(BusError);
  });

  test("replace those of the set-up before, and are removed with no other", () => {
    writeFiles(setupFiles(setup), root);
    mkdirSync(at("/etc/sysctl.d"), { recursive: true });
    writeFileSync(at("/etc/sysctl.d/other.conf"), "vm.swappiness = 1\n");
    writeFiles(setupFiles({ ...setup, hugepages: null, memlockMib: 1 }), root);
    expect(existsSync(at(SYSCTL))).toBe(false);
    expect(readFileSync(at(LIMITS), "utf8")).toEndWith("@labs - memlock 1024\n");
    expect(removeFiles(root)).toEqual([RULES, MODULES, LIMITS].map(at));
    expect([RULES, MODULES, LIMITS].map(at).filter((path) => existsSync(path))).toEqual([]);
    expect(readFileSync(at("/etc/sysctl.d/other.conf"), "utf8")).toBe("vm.swappiness = 1\n");
    expect(removeFiles(root)).toEqual([]);
  });

  test.each(paths)(
    "that somebody else made stop a set-up before it writes one, and are not removed: %s",
    (path) => {
      mkdirSync(dirname(at(path)), { recursive: true });
      writeFileSync(at(path), "theirs\n");
      const error = thrown(() => writeFiles(setupFiles(setup), root)) as BusError;
      expect(error).toBeInstanceOf(BusError);
      expect(error.message).toBe(
        `${at(path)}: it was there before, and stays as it is: move it away, then try again`,
      );
      expect(paths.filter((other) => existsSync(at(other)))).toEqual([path]);
      expect(removeFiles(root)).toEqual([]);
      expect(readFileSync(at(path), "utf8")).toBe("theirs\n");
    },
  );
});

describe("a program that a set-up needs", () => {
  test("is ended if it takes too long, and the error says how long it had", async () => {
    await expect(runProgram(["sleep", "60"], 50)).rejects.toThrow(
      "sleep 60 was ended by SIGKILL; it had 0.05 s",
    );
  });

  test("is named if it is missing, or fails", async () => {
    await expect(runProgram(["no-such-program", "x"])).rejects.toThrow(
      "can't run no-such-program x: this machine has no program no-such-program",
    );
    await expect(runProgram(["ls", "/no such place"])).rejects.toThrow(
      /^ls \/no such place failed with exit code 2: .*No such file/,
    );
  });
});

test("groups are found by name, and a name that a rule could misread is refused", async () => {
  expect(await groupNumber("root")).toBe(0);
  expect(await groupNumber("no-such-group")).toBeUndefined();
  for (const name of ["vfio", "_x", "a-1"]) expect(isGroupName(name)).toBe(true);
  for (const name of ["", "1a", 'a"', "a b", "A", "-a", "a".repeat(33)])
    expect(isGroupName(name)).toBe(false);
});
