/** A device that comes and goes while the guest runs. */
import { expect, test } from "bun:test";
import { bootGuest } from "vfiokit/guest";

const MODEL = new URL("./counter/counter.model.ts", import.meta.url);

test("a counter is plugged in, used and unplugged, three times in one guest", async () => {
  await using guest = await bootGuest({ arch: "x86_64", hotplugPorts: 1 });
  const driver = guest.pathOf(new URL("./counter/counter.ts", import.meta.url));
  for (let i = 0; i < 3; i++) {
    const device = await guest.plug(`model:${MODEL.pathname}`);
    expect(await guest.run(["vfiokit", "bind", device.address])).toMatchObject({ exitCode: 0 });
    expect(await guest.run(["bun", driver, device.address])).toMatchObject({ exitCode: 0, stdout: "5\n" });
    await device.unplug();
  }
  expect((await guest.run(["vfiokit", "list", "--json"])).stdout).not.toContain("c0de");
}, 180_000);
