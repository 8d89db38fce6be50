import { expect, test } from "bun:test";
import { join } from "node:path";

const LIBRARY = join(import.meta.dir, "../../src/index.ts");

test("a process that waited for an interrupt ends once its device is closed, whoever else forgot what", async () => {
  const program = `
    import { openDevice } from ${JSON.stringify(LIBRARY)};
    {
      using device = openDevice("model:vp9?codec=null");
      const [msi] = device.enableInterrupts("msi", 1);
      console.log(await msi.waitAsync(10));
    }
    console.log("closed");
  `;
  const child = Bun.spawn([process.execPath, "-e", program], { stderr: "inherit", timeout: 10_000 });
  expect(await new Response(child.stdout).text()).toBe("0\nclosed\n");
  expect({ exitCode: await child.exited, signal: child.signalCode }).toEqual({ exitCode: 0, signal: null });
}, 20_000);

test("a wait that is under way ends with 0 when its device is closed", async () => {
  const { openDevice } = await import("../../src/index.ts");
  const device = openDevice("model:vp9?codec=null");
  const [msi] = device.enableInterrupts("msi", 1);
  const waiting = msi!.waitAsync(60_000);
  device[Symbol.dispose]();
  expect(await waiting).toBe(0);
});

test("an access to a mapped BAR throws once its device is closed, and does not end the process", async () => {
  const program = `
    import { openDevice } from ${JSON.stringify(LIBRARY)};
    const device = openDevice("model:vp9?codec=null");
    const window = device.bars[1];
    window.write32(0, 7);
    console.log(window.isMapped(0, 8), window.read32(0));
    device[Symbol.dispose]();
    const word = new Uint8Array(8);
    const accesses = [
      ...[8, 16, 32, 64].map((bits) => () => window["read" + bits](0)),
      ...[8, 16, 32].map((bits) => () => window["write" + bits](0, 1)),
      () => window.write64(0, 1n), () => window.copyIn(0, word), () => window.copyOut(0, word),
    ];
    for (const access of accesses) {
      try { access(); console.log("done"); } catch ({ message }) { console.log(message); }
    }
  `;
  const child = Bun.spawn([process.execPath, "-e", program], { stderr: "inherit", timeout: 10_000 });
  const refused = "this mapping is already unmapped\n".repeat(10);
  expect(await new Response(child.stdout).text()).toBe(`true 7\n${refused}`);
  expect({ exitCode: await child.exited, signal: child.signalCode }).toEqual({ exitCode: 0, signal: null });
}, 20_000);
