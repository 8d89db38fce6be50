/** How the kernel resets a function: an NVMe controller behind a root port, alone on its bus. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { bind, release } from "../../../src/pci/bus/binding.ts";
import { listFunctions } from "../../../src/pci/bus/functions.ts";
import { verb } from "./verb.ts";

const { address } = listFunctions().find(({ classCode }) => classCode === 0x010802)!;
const allowed = () =>
  readFileSync(`/sys/bus/pci/devices/${address}/reset_method`, "latin1").trim().split(" ");

test("the kernel's methods are shown, one of them is used alone, and all are allowed again, also after a failure", async () => {
  await bind(address, "uio_pci_generic");
  const methods = allowed();
  expect(methods.length).toBeGreaterThan(1);
  expect((await verb("reset", address, "--methods")).stdout.trimEnd().split("\n")).toEqual(methods);
  const { exitCode, stdout, said } = await verb("reset", address, "--method", "flr", "--json");
  expect({ exitCode, said }).toEqual({ exitCode: 0, said: "" });
  expect(JSON.parse(stdout)).toMatchObject({ before: "1b36:0010", after: "1b36:0010" });
  expect(allowed()).toEqual(methods);
  // On x86-64 the port's slot has a driver, and the kernel refuses to reset its bus for one function.
  const bus = await verb("reset", address, "--method", "bus");
  expect(bus.exitCode === 0 ? "" : bus.said).toMatch(/^$|\/reset: ENOTTY/);
  expect(allowed()).toEqual(methods);
  expect(await verb("reset", address, "--method", "acpi")).toEqual({
    exitCode: 1,
    stdout: "",
    said: `${address} can't be reset by acpi, but by ${methods.join(", ")}`,
  });
  await release(address);
});
