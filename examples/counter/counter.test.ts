/** One driver, one test: on the model in this process, over a socket, and in guests with a stock kernel. */
import { expect, test } from "bun:test";
import { openDevice } from "vfiokit";
import { bootGuest } from "vfiokit/guest";
import { openModel, serveModel } from "vfiokit/model";
import model from "./counter.model.ts";
import { countTo } from "./counter.ts";

const MODEL = new URL("./counter.model.ts", import.meta.url);

test("in this process", async () => {
  using device = await openModel(model);
  expect(countTo(device, 3)).toBe(3);
});

test("over a socket", async () => {
  await using served = await serveModel(MODEL);
  using device = openDevice(served.spec);
  expect(countTo(device, 4)).toBe(4);
});

test.each(["x86_64", "aarch64"] as const)(
  "in an %s guest",
  async (arch) => {
    await using guest = await bootGuest({ arch, devices: [`model:${MODEL.pathname}`] });
    const driver = guest.pathOf(new URL("./counter.ts", import.meta.url));
    expect(await guest.run(["vfiokit", "bind", "00:01.0"])).toMatchObject({ exitCode: 0 });
    expect(await guest.run(["bun", driver, "00:01.0"])).toMatchObject({ exitCode: 0, stdout: "5\n" });
  },
  180_000,
);
