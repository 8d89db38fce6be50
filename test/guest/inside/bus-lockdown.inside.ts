/** Kernel lockdown, which stays until the guest ends: the last file of its boot. Devices: edu and nvme, with an IOMMU. */
import { beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { examineFunction } from "../../../src/doctor/function.ts";
import { gatherFunction } from "../../../src/doctor/gather.ts";
import { openDevice } from "../../../src/index.ts";
import { release } from "../../../src/pci/bus/binding.ts";
import { changeCommand } from "../../../src/pci/bus/enable.ts";
import { readFunction } from "../../../src/pci/bus/functions.ts";
import { Command } from "../../../src/pci/config-offsets.ts";
import { addressesOf, bindTo, messageOf } from "./rig.ts";
import { tool } from "./verb.ts";

const [edu] = addressesOf("edu");
const [nvme] = addressesOf("nvme");
const LOCKDOWN = "/sys/kernel/security/lockdown";

const findings = (address: string) => {
  const all = examineFunction(gatherFunction(readFunction(address), true));
  return Object.fromEntries(all.map((each) => [each.check, each]));
};

beforeAll(async () => {
  await tool(
    "sh",
    "-c",
    "mountpoint -q /sys/kernel/security || mount -t securityfs none /sys/kernel/security",
  );
  changeCommand(readFunction(edu), { io: true, memory: true, busMaster: true }, false);
  writeFileSync(LOCKDOWN, "integrity");
  expect(readFileSync(LOCKDOWN, "utf8")).toContain("[integrity]");
});

test("enable does what the kernel's own switch can, and what it can't leaves the switch as it was", () => {
  const isOn = () => readFileSync(`/sys/bus/pci/devices/${edu}/enable`, "utf8").trim();
  const memory = { io: false, memory: true, busMaster: false };
  expect(isOn()).toBe("0");
  expect(() => changeCommand(readFunction(edu), { ...memory, busMaster: true }, true)).toThrow(
    "EPERM: kernel lockdown forbids it",
  );
  expect(isOn()).toBe("0");
  expect(changeCommand(readFunction(edu), memory, true).after & Command.MEMORY).toBe(Command.MEMORY);
});

test("a function without a driver is sent to VFIO, and with VFIO nothing is wrong", async () => {
  const bind = [{ verb: "bind", args: [edu] }];
  expect(findings(edu)).toMatchObject({
    link: { verdict: "ok", text: "its configuration space answers" },
    driver: {
      verdict: "problem",
      text: "none, and kernel lockdown blocks its regions in sysfs: only VFIO can reach them",
      fix: bind,
    },
    "resource files": {
      verdict: "warning",
      text: "kernel lockdown forbids mapping its regions through sysfs: only VFIO can",
      fix: bind,
    },
  });
  {
    using device = openDevice(edu);
    expect(messageOf(() => device.bars[0]!.read32(0))).toContain(
      `kernel lockdown forbids it; VFIO maps it: bun run bind.ts ${edu}`,
    );
  }
  expect(findings(nvme)["resource files"]).toMatchObject({
    text: "its regions can't be mapped while nvme drives it",
    fix: undefined,
  });

  await bindTo(edu, "vfio-pci");
  {
    using device = openDevice(edu);
    expect(device.bars[0]!.read32(0)).toBe(0x010000ed);
  }
  expect(findings(edu)).toMatchObject({
    link: { text: "it answers: configuration space, and region 0" },
    driver: { verdict: "ok" },
    "resource files": { verdict: "ok", text: "not needed: vfio-pci maps its regions" },
  });
  await release(edu, { force: false });
});
