/**
 * Boots guests with devices that no one here wrote, and runs the tests of test/guest/inside in them. An architecture has a file of its
 * own for them, guests-ARCH.test.ts, since two files run at a time.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Arch } from "../../src/guest/arch.ts";
import type { GuestOptions } from "../../src/guest/options.ts";
import { runGuest } from "../../src/guest/run-guest.ts";
import { testKernel } from "../kernel/kernels.ts";
import "../../src/schemes.ts";

export const TIMEOUT_MS = 900_000;
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
const HUGEPAGES =
  "cd /sys/kernel/mm/hugepages && echo 8 > hugepages-2048kB/nr_hugepages && echo 1 > hugepages-1048576kB/nr_hugepages && cd /vfiokit";
/** Has a resizable BAR. */
const RESIZABLE = `model:${join(import.meta.dir, "../model/models/resizable.model.ts")}`;
/** Writes to memory again and again. */
const WRITER = `model:${join(import.meta.dir, "../model/models/writer.model.ts")}`;

/** Runs test files in a guest; what they print is printed. All of their tests must have run and passed. */
export async function runInside(
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

export const testGuest = (arch: Arch) =>
  describe(`in an ${arch} guest`, () => {
    test(
      "with an IOMMU: edu, nvme, pci-testdev, the kernel's VFIO selftests, groups, and every failure's message",
      async () => {
        await runInside(
          { arch, memoryMib: 6144, devices: ["edu", "nvme", "pci-testdev,membar-backed=on", ...PAIR] },
          67,
          HUGEPAGES,
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
          39,
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
      () =>
        runInside({ arch, iommu: false, devices: ["edu", ...CARDS] }, 13, "true", "sysfs", "bus-no-iommu"),
      TIMEOUT_MS,
    );

    test(
      "with an IOMMU: the kernel's selftests of VFIO with iommufd, and a removal",
      async () => {
        const kernel = await testKernel(arch, "vfio");
        await runInside(
          { arch, kernel, memoryMib: 6144, devices: ["edu", "nvme", ...PAIR] },
          16,
          HUGEPAGES,
          ...["iommufd-selftests", "removal-iommufd"],
        );
      },
      TIMEOUT_MS,
    );

    test(
      "without one: DMA by physical addresses, SIGKILL in the middle of it, the kernel's ways to reset, and resizable BARs",
      () =>
        runInside(
          {
            arch,
            iommu: false,
            hugepages: 16,
            devices: ["edu,dma_mask=0xffffffff", WRITER, RESIZABLE, ...PORT],
          },
          10,
          "true",
          ...["physical", "reset-method", "resize"],
        ),
      TIMEOUT_MS,
    );
  });
