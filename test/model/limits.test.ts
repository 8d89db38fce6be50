/** What a model's clients, its code and its processes can't exceed. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDevice } from "../../src/device/open.ts";
import { defineModel } from "../../src/exports/model.ts";
import { modelReady, takeModel } from "../../src/model/hosting/child-process.ts";
import { eachLine } from "../../src/model/hosting/lines.ts";
import { startWithin } from "../../src/model/hosting/process.ts";
import { serveModel, serveWithin } from "../../src/model/hosting/served.ts";
import { Standby } from "../../src/model/hosting/standby.ts";
import { startTrustingWithin } from "../../src/model/hosting/trusting.ts";
import { openModel } from "../../src/model/in-process.ts";
import {
  LAST_WORDS_MS,
  MAX_ACCESS_BYTES,
  MAX_KEPT_BYTES,
  MAX_LINE_CHARACTERS,
  MAX_STARTING_LINES,
  MESSAGE_MS,
  PROCESS_STOP_MS,
  STANDBY_MS,
} from "../../src/model/limits.ts";
import { parseModelSpec } from "../../src/model/models.ts";
import { socketPair } from "../../src/os/socket.ts";
import { MAX_DATA_BYTES } from "../../src/protocol/limits.ts";
import { Command } from "../../src/protocol/vfio-user.ts";
import "../../src/schemes.ts";
import { children } from "../vp9/encoder/rig.ts";
import { registers as copier } from "./copier.model.ts";
import { pack, RawClient, startServer, tempFolder, until } from "./rig.ts";

setDefaultTimeout(30_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

/** A model's file with some code before its definition, and in what it creates. */
function modelFile(name: string, code: string, create = "() => ({})"): string {
  const file = join(folder.path, `${name}.model.ts`);
  const door = import.meta.resolve("../../src/exports/model.ts");
  writeFileSync(
    file,
    `import { defineModel } from ${JSON.stringify(door)};
     ${code}
     export default defineModel({ title: "${name}", id: { vendor: 0x1234, device: 2 },
       bars: [{ registers: { A: { offset: 0, mode: "rw", about: "" } } }], create: ${create} });`,
  );
  return file;
}
const specOf = (file: string) => parseModelSpec(`model:${file}`);

describe("a client", () => {
  test("that stops in the middle of a message is dropped, and the next one is served", async () => {
    await using server = await startServer("--codec=null");
    using slow = server.connect().agree();
    slow.stream.send(pack("22", 0, Command.DEVICE_RESET));
    const startMs = performance.now();
    using next = new RawClient(server.connect().stream.fd);
    await Bun.sleep(MESSAGE_MS + 300);
    expect(next.agree().read32(7, 0)).toBe(0x7022_10ee);
    expect(performance.now() - startMs).toBeGreaterThan(MESSAGE_MS);
    expect(slow.dropped()).toBe(true);
  });

  test("that asks for more data than a message may have is refused, and served on", async () => {
    await using server = await startServer("--codec=null");
    using client = server.connect().agree();
    const read = client.request(Command.REGION_READ, pack("844", 0, 1, MAX_DATA_BYTES + 1));
    expect(read.errno).toBe(22);
    expect(client.read(1, 0, MAX_DATA_BYTES).byteLength).toBe(MAX_DATA_BYTES);
  });

  test("that sends more bytes than are kept while it owes an answer is dropped", async () => {
    await using server = await startServer(join(import.meta.dir, "copier.model.ts"));
    using client = server.connect().agree();
    client.write(7, 4, pack("2", 6)); // memory and bus mastering
    expect(client.request(Command.DMA_MAP, pack("44888", 32, 3, 0n, 0n, 4096n)).errno).toBe(0);
    client.send(Command.REGION_WRITE, pack("8444", copier.COUNT.offset, 0, 4, 16));
    expect(client.receiveRequest().command).toBe(Command.DMA_READ);
    const write = new Uint8Array(16 + MAX_DATA_BYTES);
    write.set(pack("844", 0, 0, MAX_DATA_BYTES));
    const send = () => {
      for (let sent = 0; sent <= MAX_KEPT_BYTES; sent += write.byteLength)
        client.send(Command.REGION_WRITE, write);
      client.send(Command.REGION_WRITE, write);
    };
    expect(send).toThrow(/closed the connection|ECONNRESET/);
    using next = server.connect().agree();
    expect(next.read32(7, 0)).toBe(0xc0b1_1234);
  });
});

describe("a model that does not start is ended, and the error says so", () => {
  const file = modelFile("never", "await Bun.sleep(1_000_000);");
  const spec = specOf(file);
  const clients = { socketPath: join(folder.path, "never.sock") };
  const log = () => {};
  /** The processes of this one that are there after a start that failed. */
  const left = async () => {
    const before = children().length;
    return { gone: () => until("its process to end", () => children().length <= before) };
  };

  test("in a child of its own", async () => {
    const { gone } = await left();
    expect(() => takeModel(spec.spec, 500)).toThrow("the model did not start in time, and was ended");
    await expect(modelReady(spec.spec, 500)).rejects.toThrow(
      "the model did not start in time, and was ended",
    );
    await gone();
  });

  test("as a server", async () => {
    const { gone } = await left();
    await expect(serveWithin(500, spec, { ...clients, log })).rejects.toThrow(
      `${spec.spec} did not start within 0.5 s, and was ended`,
    );
    await gone();
    expect(existsSync(clients.socketPath)).toBe(false);
  });

  test("as a server that trusts its clients", async () => {
    const { gone } = await left();
    await expect(startTrustingWithin(500, { model: spec, clients, log })).rejects.toThrow(
      "the model did not start within 0.5 s, and was ended",
    );
    await gone();
    expect(existsSync(clients.socketPath)).toBe(false);
  });

  test("in this process", async () => {
    await expect(startWithin(500, { model: spec, clients, log })).rejects.toThrow(
      `${file} did not start within 0.5 s`,
    );
    expect(existsSync(clients.socketPath)).toBe(false);
  });
});

test("a model that starts and then does not answer is an error", () => {
  const busy = "(device) => { device.after(0, () => Bun.sleepSync(15_000)); return {}; }";
  const file = modelFile("busy", "", busy);
  expect(() => openDevice(`model:${file}`, { timeoutMs: 100 })).toThrow(
    "no answer to VERSION within 5000 ms",
  );
});

test("of what a model prints before it fails the last lines are told", async () => {
  const code = `if (require("node:worker_threads").isMainThread) for (let i = 0; i < ${2 * MAX_STARTING_LINES}; i++) console.error("line " + i); throw new Error("no");`;
  const starting = serveModel(specOf(modelFile("chatty", code)), { log: () => {} });
  const error = await starting.then(
    () => new Error("it started"),
    (error: Error) => error,
  );
  const dropped = Number(/ did not start: \((\d+) earlier lines are left out\)\n/.exec(error.message)?.[1]);
  // The error itself is some lines more.
  expect(dropped).toBeGreaterThan(MAX_STARTING_LINES);
  expect(dropped).toBeLessThan(MAX_STARTING_LINES + 20);
  expect(error.message).toContain(`line ${2 * MAX_STARTING_LINES - 1}\n`);
  expect(error.message.split("\n").length).toBeLessThan(MAX_STARTING_LINES + 5);
});

test("a line that is too long comes in pieces, none of which is lost", async () => {
  const text = "0123456789".repeat(20_000);
  const child = Bun.spawn(
    [process.execPath, "-e", `process.stdout.write("0123456789".repeat(20_000) + "\\nend\\n")`],
    {
      stdout: "pipe",
    },
  );
  const lines: string[] = [];
  await eachLine(child.stdout, (line) => lines.push(line) > 0);
  expect(lines.length).toBeGreaterThan(2);
  expect(lines.at(-1)).toBe("end");
  expect(lines.slice(0, -1).join("")).toBe(text);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(MAX_LINE_CHARACTERS);
});

/** The process of this one that serves a socket. */
const serverOf = (path: string) =>
  until("its process", () =>
    children().find((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(path)),
  );

test("a model's process that does not end when it is told to is killed", async () => {
  const socketPath = join(folder.path, "stuck.sock");
  const served = await serveModel(specOf(modelFile("stuck", "")), { socketPath, log: () => {} });
  const pid = await serverOf(socketPath);
  process.kill(pid, "SIGSTOP");
  const startMs = performance.now();
  await served[Symbol.asyncDispose]();
  expect(performance.now() - startMs).toBeWithin(PROCESS_STOP_MS - 100, PROCESS_STOP_MS + 4000);
  expect(existsSync(socketPath)).toBe(false);
});

test("the last words of a model's process are waited for, but not those of its standby", async () => {
  const socketPath = join(folder.path, "outlived.sock");
  const lines: string[] = [];
  const served = await serveModel(specOf(modelFile("outlived", "")), {
    socketPath,
    log: (line) => void lines.push(line),
  });
  const pid = await serverOf(socketPath);
  const standby = await until("its standby", () => children(pid)[0]);
  process.kill(standby, "SIGSTOP");
  const startMs = performance.now();
  process.kill(pid, "SIGKILL");
  await until("the line that it ended", () => lines.some((line) => line.includes("ended (SIGKILL)")));
  expect(performance.now() - startMs).toBeWithin(LAST_WORDS_MS - 50, LAST_WORDS_MS + 3000);
  process.kill(standby, "SIGKILL");
  await served[Symbol.asyncDispose]();
});

test("a standby that takes no clients is given up, in one line", () => {
  const [ours, theirs] = socketPair();
  using _theirs = theirs;
  const lines: string[] = [];
  const standby = new Standby(ours, (line) => lines.push(line));
  const startMs = performance.now();
  for (let i = 0; i < 10_000; i++) standby.hold(theirs);
  expect(lines).toEqual([expect.stringMatching(/^the standby no longer works: SocketTimeout/)]);
  expect(performance.now() - startMs).toBeWithin(STANDBY_MS - 50, STANDBY_MS + 3000);
});

test("a transfer to a model in this process that is longer than one access goes in pieces", async () => {
  const model = defineModel({
    title: "long",
    id: { vendor: 0x1234, device: 2 },
    bars: [{ registers: { A: { offset: 0, mode: "rw", about: "", count: (2 * MAX_ACCESS_BYTES) / 4 } } }],
    create: () => ({}),
  });
  using device = await openModel(model);
  const bar = device.bars[0]!;
  const whole = crypto.getRandomValues(new Uint8Array(2 * MAX_ACCESS_BYTES).subarray(0, 65_536));
  const twice = new Uint8Array([...whole, ...whole]);
  bar.copyIn(0, twice);
  const got = new Uint8Array(twice.byteLength);
  bar.copyOut(0, got);
  expect(Bun.hash.crc32(got)).toBe(Bun.hash.crc32(twice));
});

test("a DMA read whose size a driver chose too large is refused before memory is taken for it", async () => {
  const lines: string[] = [];
  const reader = defineModel({
    title: "reader",
    id: { vendor: 0x1234, device: 0xbead },
    bars: [{ registers: { SIZE: { offset: 0, mode: "wo", reset: 0, about: "Reads so many bytes" } } }],
    create: (device) => ({ SIZE: { write: (size) => void device.readMemory(0, size) } }),
  });
  using device = await openModel(reader, { log: (line) => void lines.push(line) });
  using _memory = device.allocateDma(4096);
  const before = process.memoryUsage().rss;
  expect(() => device.bars[0]!.write32(0, 0xffff_ffff)).toThrow("EIO");
  expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 27);
  expect(lines.join()).toContain("a DMA read of 4294967295 bytes; one reads at most 268435456");
});
