/** What a spec says of a model, and its time limit. */
import { expect, test } from "bun:test";
import { openDevice } from "../../src/device/open.ts";
import { parseModelSpec } from "../../src/model/models.ts";
import "../../src/schemes.ts";

test("a model's options are what stands after its name", () => {
  const file = expect.stringMatching(/vp9\.model\.ts$/);
  expect(parseModelSpec("model:vp9")).toEqual({ spec: "model:vp9", file, query: "" });
  const spec = "model:vp9?codec=null&fault=stall@3=200,die@10";
  expect(parseModelSpec(spec)).toEqual({ spec, file, query: "codec=null&fault=stall@3=200,die@10" });
});

test("another option is refused by its name, and so is one that is given twice", () => {
  for (const name of ["socket", "standby", "trust", "help", "-socket", ""])
    expect(() => parseModelSpec(`model:vp9?${name}=1`)).toThrow(
      `model:vp9 has no option "${name}"; it has codec and fault`,
    );
  expect(() => parseModelSpec("model:vp9?codec=null&codec=libvpx")).toThrow(
    "model:vp9?codec=null&codec=libvpx: codec is given twice",
  );
});

test("a time limit may be infinite, or longer than a timer can be", () => {
  for (const timeoutMs of [Number.POSITIVE_INFINITY, 2 ** 40]) {
    using device = openDevice("model:vp9?codec=null", { timeoutMs });
    expect(device.bars[0]!.read32(0)).toBe(0x45395056); // "VP9E"
  }
});
