/** What a spec says of a model, before anything is started. */
import { expect, test } from "bun:test";
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
