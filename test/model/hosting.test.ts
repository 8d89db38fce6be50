/** Hosting a model that anybody may have written: what it prints, and what fails while it starts. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { openDevice } from "../../src/index.ts";
import { startModel } from "../../src/model/hosting/process.ts";
import { serveModel } from "../../src/model/hosting/served.ts";
import { startTrustingModel } from "../../src/model/hosting/trusting.ts";
import { parseModelSpec, registerModel } from "../../src/model/models.ts";
import { openFiles } from "../os/open-fds.ts";
import { workerThreads } from "../os/worker-threads.ts";
import { children } from "../vp9/encoder/rig.ts";
import { tempFolder, until } from "./rig.ts";

setDefaultTimeout(60_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

/** Registers a model that is the VP9 endpoint's, but for some members. */
function model(name: string, members: string): void {
  const file = `${folder.path}/${name}.model.ts`;
  const vp9 = import.meta.resolve("../../src/vp9/model/vp9.model.ts");
  writeFileSync(file, `import vp9 from ${JSON.stringify(vp9)};\nexport default { ...vp9, ${members} };\n`);
  registerModel({ name, file, options: ["codec", "fault"], about: "a model of this test" });
}

const query = "?codec=null";
const lines: string[] = [];
const log = (line: string) => void lines.push(line);
const socketPath = (name: string) => `${folder.path}/${name}.sock`;

test("a model whose code can't be loaded is an error at once, and leaves no process", async () => {
  model("unloadable", `load: async () => { throw new Error("no code") }`);
  const before = children().length;
  expect(() => openDevice(`model:unloadable${query}`)).toThrow("the model ended while it started");
  await until("its process to end", () => children().length === before);

  const clients = { socketPath: socketPath("unloadable") };
  const starting = startModel({ model: parseModelSpec(`model:unloadable${query}`), clients, log });
  await expect(starting).rejects.toThrow("no code");
  expect(existsSync(clients.socketPath)).toBe(false);
});

test("a device that can't be created is an error at the start, with its reason, wherever it is started", async () => {
  model("ghost", "load: async () => () => { throw new RangeError('no such register') }");
  const spec = parseModelSpec(`model:ghost${query}`);
  await expect(serveModel(spec, { socketPath: socketPath("ghost"), log })).rejects.toThrow(
    "did not start: no such register",
  );
  expect(existsSync(socketPath("ghost"))).toBe(false);
  expect(() => openDevice(spec.spec)).toThrow("the model ended while it started");
});

test("what a served model's device logs reaches who serves it", async () => {
  const file = `${folder.path}/talks.model.ts`;
  const door = import.meta.resolve("../../src/exports/model.ts");
  const table = '{ A: { offset: 0, mode: "rw", about: "" } }';
  writeFileSync(
    file,
    `import { defineModel } from ${JSON.stringify(door)};
     export default defineModel({ title: "talks", id: { vendor: 0x1234, device: 2 }, bars: [{ registers: ${table} }],
       create: () => ({ A: { read() { throw new Error("boom"); } } }) });`,
  );
  const said: string[] = [];
  await using served = await serveModel(`model:${file}`, { log: (line) => void said.push(line) });
  using device = openDevice(served.spec);
  expect(() => device.bars[0]!.read32(0)).toThrow("EIO");
  await until("its line", () => said.some((line) => line.includes("a read of A failed: Error: boom")));
});

test("a model that prints is served, however much it prints", async () => {
  const loud = "console.log(String(i).repeat(500))";
  model(
    "loud",
    `prepare: async (setup) => { for (let i = 0; i < 400; i++) ${loud}; console.log("prepared"); return vp9.prepare(setup); }`,
  );
  const spec = parseModelSpec(`model:loud${query}`);
  const path = socketPath("loud");
  {
    await using _served = await serveModel(spec, { socketPath: path, log });
    using device = openDevice(`vfio-user:${path}`);
    expect(device.bars[0]!.read32(0)).toBe(0x45395056);
  }
  const trusting = await startTrustingModel({ model: spec, clients: { socketPath: path }, log });
  {
    using device = openDevice(`vfio-user:${path}`);
    expect(device.bars[0]!.read32(0)).toBe(0x45395056);
  }
  expect(lines.filter((line) => line === "prepared").length).toBe(1);
  trusting.stop();
  await trusting.ended;
});

test("a model that failed is told to whoever waits for its end, also when nobody does yet, and may be stopped twice", async () => {
  const broken = `${folder.path}/broken`;
  model(
    "failing",
    `prepare: async (setup) => {
      const { existsSync } = await import("node:fs");
      setInterval(() => existsSync(${JSON.stringify(broken)}) && setup.fail(new Error("failed later")), 20);
      return vp9.prepare(setup);
    }`,
  );
  const clients = { socketPath: socketPath("failing"), standby: true };
  const started = await startModel({ model: parseModelSpec(`model:failing${query}`), clients, log });
  writeFileSync(broken, "");
  await Bun.sleep(200);
  await expect(started.ended).rejects.toThrow("failed later");
  started.stop();
  started.stop();
  model(
    "dead",
    `prepare: async (setup) => { setup.fail(new Error("failed at once")); return vp9.prepare(setup); }`,
  );
  await expect(startModel({ model: parseModelSpec(`model:dead${query}`), clients, log })).rejects.toThrow(
    "failed at once",
  );
});

test("a model that fails while its thread is busy has ended only when the thread has: it uses descriptors by number", async () => {
  const door = import.meta.resolve("../../src/exports/model.ts");
  const file = `${folder.path}/occupied.model.ts`;
  const broken = `${folder.path}/occupied-broken`;
  const busy = `${folder.path}/occupied-busy`;
  writeFileSync(
    file,
    `import { existsSync, writeFileSync } from "node:fs";
     import { defineModel } from ${JSON.stringify(door)};
     const table = { A: { offset: 0, mode: "rw", about: "" } };
     export default defineModel({ title: "occupied", id: { vendor: 0x1234, device: 2 }, bars: [{ registers: table }],
       create: (device) => {
         device.after(0, () => {
           while (!existsSync(${JSON.stringify(broken)})) Bun.sleepSync(10);
           writeFileSync(${JSON.stringify(busy)}, "");
           Bun.sleepSync(900);
         });
         return {};
       },
       async prepare({ fail }) {
         const looking = setInterval(() => existsSync(${JSON.stringify(busy)}) && fail(new Error("failed at work")), 100);
         return { about: "", data: undefined, release: () => clearInterval(looking) };
       } });`,
  );
  const before = workerThreads();
  const clients = { socketPath: socketPath("occupied") };
  const started = await startModel({ model: parseModelSpec(`model:${file}`), clients, log });
  expect(workerThreads()).toBe(before + 1);
  const at = performance.now();
  writeFileSync(broken, "");
  await expect(started.ended).rejects.toThrow("failed at work");
  expect(performance.now() - at).toBeGreaterThan(850); // the thread's sleep
  await until("the thread to be gone", () => workerThreads() === before);
});

test("models that come and go in one process leave no descriptor", async () => {
  const open = () => openFiles("self");
  const run = async (name: string) => {
    const clients = { socketPath: socketPath(name) };
    const started = await startModel({ model: parseModelSpec(`model:vp9${query}`), clients, log });
    started.stop();
    await started.ended;
  };
  await run("first");
  await Bun.sleep(200);
  const before = open().filter((file) => /memfd|socket/.test(file)).length;
  for (let i = 0; i < 5; i++) await run(`again-${i}`);
  await expect(run("x".repeat(120))).rejects.toThrow();
  await Bun.sleep(200);
  expect(open().filter((file) => /memfd|socket/.test(file)).length).toBeLessThanOrEqual(before);
});

test("a model's file is named by its whole path", () => {
  expect(() => registerModel({ name: "lost", file: "./lost.model.ts", options: [], about: "" })).toThrow(
    "model:lost: ./lost.model.ts is not an absolute path",
  );
});

test("a word without a colon is no scheme", () => {
  expect(() => openDevice("model")).toThrow('"model" is not a device that can be opened');
});
