/** What a model's spec may ask of model.ts, where guest.ts starts it. */
import { expect, test } from "bun:test";
import { modelOptions, serveModel } from "../../src/guest/model.ts";
import { tempFolder } from "./rig.ts";

test("codec and fault of a spec become options of the program, each in one word", () => {
  expect(modelOptions("model:vp9")).toEqual([]);
  expect(modelOptions("model:vp9?codec=null&fault=stall@3=200,die@10")).toEqual([
    "--codec=null",
    "--fault=stall@3=200,die@10",
  ]);
  expect(modelOptions("model:vp9?codec=--socket")).toEqual(["--codec=--socket"]);
});

test("another option is refused by its name before anything starts, and so is one that is given twice", async () => {
  using folder = tempFolder();
  const path = `${folder.path}/model.sock`;
  for (const name of ["socket", "heir", "trust", "help", "-socket", ""])
    await expect(serveModel(`model:vp9?${name}=${path}2`, path, () => {})).rejects.toThrow(
      `model:vp9 has no option "${name}"; it has codec and fault`,
    );
  await expect(serveModel("model:vp9?codec=null&codec=libvpx", path, () => {})).rejects.toThrow(
    "model:vp9?codec=null&codec=libvpx: codec is given twice",
  );
});
