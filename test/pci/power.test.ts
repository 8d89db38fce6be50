/** Power states, from a mock of sysfs; a guest's are read in test/guest/inside/bus.inside.ts. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readPower } from "../../src/pci/bus/power.ts";
import { tempFolder } from "../media/rig.ts";

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
const bridge = folder.file("pci0000:00/0000:00:01.0");
const path = join(bridge, "0000:01:00.0");
const of = {
  address: "0000:01:00.0",
  path,
  vendor: 0x10ee,
  device: 0x7022,
  physicalFunction: undefined,
} as never;
mkdirSync(join(path, "power"), { recursive: true });
const write = (name: string, text: string) => writeFileSync(join(path, name), `${text}\n`);

/** With a Power Management capability at 0x40. */
function configOf(powerState: number): Uint8Array {
  const config = new Uint8Array(256);
  config.set([0xee, 0x10, 0x22, 0x70, 0, 0, 0x10, 0]);
  config[0x34] = 0x40;
  config.set([0x01, 0, 3, 0, powerState], 0x40);
  return config;
}

test("the state is the function's own word, since the kernel does not know what others wrote there", () => {
  write("power_state", "unknown");
  writeFileSync(join(path, "config"), configOf(3));
  expect(readPower(of)).toEqual({ state: "D3hot", suspended: false, bridges: [] });
  writeFileSync(join(path, "config"), configOf(1));
  write("power_state", "D0");
  expect(readPower(of).state).toBe("D1");
});

test("a function that is off, that has no such capability, or that may not be asked has the kernel's word", () => {
  writeFileSync(join(path, "config"), configOf(0));
  write("power_state", "D3cold");
  expect(readPower(of).state).toBe("D3cold");
  for (const config of [new Uint8Array(256), new Uint8Array(256).fill(0xff), configOf(2).subarray(0, 64)]) {
    writeFileSync(join(path, "config"), config);
    write("power_state", "D3hot");
    expect(readPower(of).state).toBe("D3hot");
    write("power_state", "unknown");
    expect(readPower(of).state).toBeUndefined();
  }
});

test("what the kernel suspended is told, and each bridge above that sleeps", () => {
  write("power/runtime_status", "suspended");
  writeFileSync(join(bridge, "power_state"), "D0\n");
  expect(readPower(of)).toEqual({ state: undefined, suspended: true, bridges: [] });
  write("power/runtime_status", "active");
  writeFileSync(join(bridge, "power_state"), "D3hot\n");
  expect(readPower(of)).toMatchObject({
    suspended: false,
    bridges: [{ address: "0000:00:01.0", state: "D3hot" }],
  });
});
