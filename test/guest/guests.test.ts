/** Boots guests with devices that no one here wrote, and runs the tests of test/guest/inside in them. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { GuestOptions } from "../../src/guest/options.ts";
import { runGuest } from "../../src/guest/run-guest.ts";
import "../../src/schemes.ts";

const TIMEOUT_MS = 600_000;
/** Network cards that have less than a page of registers. */
const CARDS = [1, 2].map((i) => `rtl8139,mac=52:54:00:00:00:0${i},romfile=`);
/** Two functions of one device without ACS: one IOMMU group. */
const PAIR = [
  "pcie-root-port,id=root,chassis=1",
  "edu,bus=root,addr=0.0,multifunction=on",
  "edu,bus=root,addr=0.1",
];
/** A controller that is alone on its bus. */
const PORT = ["pcie-root-port,id=above,chassis=2", "nvme,bus=above,serial=below"];
/** Writes to memory again and again. */
const WRITER = `model:${join(import.meta.dir, "../model/models/writer.model.ts")}`;

/** Runs test files in a guest; what they print is printed. All of their tests must have run and passed. */
async function runInside(
  options: Omit<GuestOptions, "command">,
  tests: number,
  setUp: string,
  ...files: string[]
) {
  const output: string[] = [];
  const collect = (bytes: Uint8Array) => void output.push(new TextDecoder().decode(bytes));
  const paths = files.map((file) => `./test/guest/inside/${file}.inside.ts`).join(" ");
  const { exitCode } = await runGuest({
    ...options,
    command: ["sh", "-c", `cd /vfiokit && ${setUp} && bun test --timeout 60000 ${paths}`],
    onStdout: collect,
    onStderr: collect,
    timeoutMs: TIMEOUT_MS - 20_000,
  });
  const text = output.join("");
  console.log(`${options.arch}, ${files.join(", ")}:\n${text}`);
  const count = (what: string) => Number(new RegExp(`^ *(\\d+) ${what}$`, "m").exec(text)?.[1] ?? 0);
  expect({ exitCode, pass: count("pass"), fail: count("fail"), skip: count("skip") }).toEqual({
    exitCode: 0,
    pass: tests,
    fail: 0,
    skip: 0,
  });
}

describe.each(["x86_64", "aarch64"] as const)("in an %s guest", (arch) => {
  test(
    "with an IOMMU: edu, nvme, pci-testdev, the kernel's VFIO selftests, groups, and every failure's message",
    async () => {
      const hugepages =
        "cd /sys/kernel/mm/hugepages && echo 8 > hugepages-2048kB/nr_hugepages && echo 1 > hugepages-1048576kB/nr_hugepages && cd /vfiokit";
      await runInside(
        { arch, memoryMib: 6144, devices: ["edu", "nvme", "pci-testdev,membar-backed=on", ...PAIR] },
        63,
        hugepages,
        "edu",
        "nvme",
        "vfio-selftests",
        "group",
        "failures",
        "removal",
      );
    },
    TIMEOUT_MS,
  );

  test(
    "with an IOMMU: list, bind, release, rescan, enable and doctor, 50 times over, and nothing is left; virtual functions, lockdown",
    () =>
      runInside(
        { arch, devices: ["edu", "nvme", "e1000e", "igb", ...PAIR] },
        38,
        "true",
        ...["bus", "bus-dependents", "bus-lockdown"],
      ),
    TIMEOUT_MS,
  );

  test(
    "with an IOMMU: config on a bridge, with the kernel's drivers, through VFIO, and without privileges; names; virtual functions",
    () =>
      runInside(
        { arch, devices: ["edu", "nvme", "e1000e", "igb", ...PAIR] },
        29,
        "true",
        ...["config", "bus-names", "virtual"],
      ),
    TIMEOUT_MS,
  );

  test(
    "without one: the story through sysfs, INTx through uio_pci_generic",
    () => runInside({ arch, iommu: false, devices: ["edu", ...CARDS] }, 13, "true", "sysfs", "bus-no-iommu"),
    TIMEOUT_MS,
  );

  test(
    "without one: DMA by physical addresses, SIGKILL in the middle of it, and the kernel's ways to reset",
    () =>
      runInside(
        { arch, iommu: false, hugepages: 16, devices: ["edu,dma_mask=0xffffffff", WRITER, ...PORT] },
        8,
        "true",
        ...["physical", "reset-method"],
      ),
    TIMEOUT_MS,
  );
});

test(
  "in an x86_64 guest the documents' commands print what they show",
  () => runInside({ arch: "x86_64", devices: ["edu", "nvme", "igb"] }, 2, "true", "documents"),
  TIMEOUT_MS,
);
