/** encode.ts --recover: what docs/encode.md shows, and what it refuses. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { comparable, openCheckout, stepsOf } from "../document.ts";
import { decodableFrames } from "../media/rig.ts";
import { ROOT, startScript } from "./rig.ts";

setDefaultTimeout(60_000);

const checkout = openCheckout();
afterAll(() => checkout[Symbol.dispose]());

test("docs/encode.md shows a recovery, and its file has every frame", async () => {
  const steps = stepsOf(readFileSync(join(ROOT, "docs/encode.md"), "utf8"));
  const { command, shown } = steps.find(({ command }) => command.includes("recovered.ivf"))!;
  expect(comparable(await checkout.bash(command))).toEqual(comparable(shown));
  expect(decodableFrames(checkout.file("recovered.ivf"))).toBe(9);
});

test("--json counts recoveries by their reasons, on both paths", async () => {
  for (const path of ["dma", "window"]) {
    const device = ["--device", "model:vp9?fault=ones@2,wedge@7", "--path", path, "--in-flight", "1"];
    const words = ["--frames", "9", ...device, "--recover", "2", "--timeout", "1", "--json", "-o", "-"];
    const { exitCode, stderr } = await startScript("encode.ts", ...words).ended();
    const { frames, keyFrames, recoveries, error } = JSON.parse(stderr);
    expect({ exitCode, frames, keyFrames, error }).toEqual({
      ...{ exitCode: 0, frames: 9, keyFrames: 3, error: undefined },
    });
    expect(recoveries).toEqual([
      expect.stringContaining("all ones"),
      expect.stringContaining("waited 1000 ms"),
    ]);
  }
});

test("--recover is a whole number", async () => {
  for (const value of ["-1", "1.5", "x"]) {
    const { exitCode, stderr } = await startScript("encode.ts", `--recover=${value}`, "-o", "x.ivf").ended();
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`--recover ${value}: it must be a whole number from 0 to 1000`);
  }
});
