/** What the doctor says of a function's power; a guest's is in test/guest/inside/bus.inside.ts. */
import { expect, test } from "bun:test";
import { card } from "../pci/made-up.ts";
import { bound, device } from "./rig.ts";

const bridges = [{ address: "0000:00:01.0", state: "D3cold" }] as const;
const control = "/sys/bus/pci/devices/0000:00:09.0/power/control";
test.each([
  [undefined, { state: "D0" }, "ok", "on (D0)", undefined],
  [undefined, {}, "not applicable", "unknown: it has no power management", undefined],
  // vfio-pci lets what it has sleep until it is opened, and wakes it up then.
  ["vfio-pci", { state: "D3hot", suspended: true }, "ok", "D3hot until vfio-pci uses it", undefined],
  ["nvme", { suspended: true }, "ok", "suspended until nvme uses it", undefined],
  [
    "vfio-pci",
    { state: "D3hot", suspended: true, bridges },
    "ok",
    "D3hot, and 0000:00:01.0 above it is in D3cold until vfio-pci uses it",
    undefined,
  ],
  [
    undefined,
    { state: "D0", suspended: true },
    "warning",
    "the kernel has suspended it, and may turn it off",
    `echo on > ${control}`,
  ],
  [
    undefined,
    { state: "D0", suspended: true, bridges },
    "problem",
    "0000:00:01.0 above it is in D3cold: its regions do not answer",
    `echo on > ${control}`,
  ],
  [
    undefined,
    { state: "D0", bridges },
    "problem",
    "0000:00:01.0 above it is in D3cold: its regions do not answer",
    "echo on > /sys/bus/pci/devices/0000:00:01.0/power/control",
  ],
  [
    undefined,
    { state: "D3hot" },
    "problem",
    "D3hot: its regions do not answer",
    "echo 1 > /sys/bus/pci/devices/0000:00:09.0/enable",
  ],
  [
    "uio_pci_generic",
    { state: "D1" },
    "problem",
    "D1: its regions do not answer",
    "bun run release.ts 0000:00:09.0, then bun run bind.ts 0000:00:09.0 --driver uio_pci_generic",
  ],
] as const)("with driver %p and power %o: %s, %s", (driver, power, verdict, text, fix) => {
  const facts = {
    ...bound,
    function: { ...card, driver },
    power: { state: undefined, suspended: false, bridges: [], ...power },
  };
  expect(device(facts, "power")).toEqual({ check: "power", verdict, text, fix });
});
