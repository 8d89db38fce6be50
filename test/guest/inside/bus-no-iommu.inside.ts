/** The bus verbs where there is no IOMMU: --iommu off --device edu. */
import { afterEach, expect, test } from "bun:test";
import { boundAddresses, release } from "../../../src/pci/bus/binding.ts";
import { readFunction } from "../../../src/pci/bus/functions.ts";
import { addressesOf } from "./rig.ts";
import { verb } from "./verb.ts";

const [edu] = addressesOf("edu");

afterEach(async () => {
  for (const address of boundAddresses()) await release(address, { force: true });
});

test("vfio-pci is refused, the message says why and what works instead, and nothing has changed", async () => {
  for (const more of [[], ["--dry-run"]])
    expect(await verb("bind", edu!, ...more)).toEqual({
      exitCode: 1,
      stdout: "",
      said: `${edu} can't be bound to vfio-pci: it is in no IOMMU group, because the IOMMU is off or absent; bun run doctor.ts shows how to turn it on, and bun run bind.ts ${edu} --driver uio_pci_generic works without an IOMMU`,
    });
  expect(readFunction(edu)).toMatchObject({ driver: undefined, driverOverride: undefined });
  expect(boundAddresses()).toEqual([]);
});

test("uio_pci_generic takes it, and gives it back", async () => {
  expect((await verb("bind", edu, "--driver", "uio_pci_generic")).stdout).toBe(
    `no IOMMU group\n${edu} went from no driver to uio_pci_generic\n`,
  );
  expect((await verb("release", edu)).stdout).toBe(`${edu} went from uio_pci_generic back to no driver\n`);
});

test("the doctor finds the lack first, and says how to end it", async () => {
  const { exitCode, stdout } = await verb("doctor", edu, "--json");
  const { system, functions } = JSON.parse(stdout);
  expect(exitCode).toBe(1);
  const problems = system.filter(({ verdict }: { verdict: string }) => verdict === "problem");
  expect(problems).toMatchObject([{ check: "IOMMU", text: "the firmware describes none" }]);
  expect(problems[0].fix).toMatch(process.arch === "x64" ? /-iommu,intremap=on$/ : /iommu=smmuv3/);
  const group = functions[0].findings.find(({ check }: { check: string }) => check === "IOMMU group");
  expect(group).toMatchObject({
    verdict: "not applicable",
    text: "in none: this machine has no IOMMU",
    fix: null,
  });
});

test("the doctor proposes what works, and is content with it", async () => {
  const driver = async () => {
    const [{ findings }] = JSON.parse((await verb("doctor", edu!, "--json")).stdout).functions;
    return findings.find(({ check }: { check: string }) => check === "driver");
  };
  expect(await driver()).toMatchObject({
    verdict: "warning",
    fix: `bun run bind.ts ${edu} --driver uio_pci_generic`,
  });
  await verb("bind", edu!, "--driver", "uio_pci_generic");
  expect(await driver()).toMatchObject({ verdict: "ok", fix: null });
  await verb("release", edu!);
});
