/** The model as a program: its socket, its signals, its threads. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openRegisters } from "../../src/registers/access.ts";
import { MAGIC, registers } from "../../src/vp9/contract/registers.ts";
import { children } from "../vp9/encoder/rig.ts";
import { noise, Place, Rig } from "../vp9/model/stream-rig.ts";
import { LIMIT_MS, PROGRAM, startServer, startServerAt, tempFolder, until } from "./rig.ts";

function isStandby(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("standby-program");
  } catch {
    return false; // it has ended
  }
}

/** Runs model.ts to its end. */
async function run(...args: string[]): Promise<{ exitCode: number; text: string }> {
  const child = Bun.spawn([process.execPath, PROGRAM, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_ENV: "production" },
    timeout: LIMIT_MS,
  });
  const [exitCode, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { exitCode, text: out + err };
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`the socket is its owner's alone, and gone after ${signal}, also with a client connected`, async () => {
    await using server = await startServer("--codec=null");
    const status = statSync(server.path);
    expect([status.isSocket(), status.mode & 0o777]).toEqual([true, 0o600]);
    using client = server.connect().agree();
    server.kill(signal);
    expect(await server.exited).toBe(0);
    expect(existsSync(server.path)).toBe(false);
    expect(client.dropped()).toBe(true);
  });
}

test("a path that is taken is refused with exit code 1, the reason, the cure, and left as it was", async () => {
  await using server = await startServer("--codec=null");
  const second = await run("--socket", server.path, "--codec=null");
  expect(second.exitCode).toBe(1);
  expect(second.text).toContain(`${server.path}: EADDRINUSE`);
  expect(second.text).toContain("is serving there; end it, or choose another path");
  using client = server.connect().agree();
  expect(client.read32(7, 0)).toBe(0x7022_10ee);
  // Also while it serves that client.
  expect((await run("--socket", server.path, "--codec=null")).exitCode).toBe(1);
  expect(client.read32(7, 0)).toBe(0x7022_10ee);
}, 30_000);

test("a socket that a killed model left behind is taken over by the next model on that path", async () => {
  await using killed = await startServer("--codec=null");
  killed.kill("SIGKILL");
  await killed.exited;
  expect(statSync(killed.path).isSocket()).toBe(true);
  await using next = await startServerAt(killed.path, "--codec=null");
  expect(statSync(next.path).mode & 0o777).toBe(0o600);
  {
    using client = next.connect().agree();
    expect(client.read32(7, 0)).toBe(0x7022_10ee);
  }
  next.kill("SIGTERM");
  expect(await next.exited).toBe(0);
  expect(existsSync(next.path)).toBe(false);
}, 30_000);

test("a server that ends removes its own socket, and not that of another one which took its path over", async () => {
  await using first = await startServer("--codec=null");
  rmSync(first.path);
  await using second = await startServerAt(first.path, "--codec=null");
  first.kill("SIGTERM");
  expect(await first.exited).toBe(0);
  expect(statSync(first.path).isSocket()).toBe(true);
  {
    using client = second.connect().agree();
    expect(client.read32(7, 0)).toBe(0x7022_10ee);
  }
  // Whatever else has come there is left alone, too.
  rmSync(first.path);
  writeFileSync(first.path, "precious");
  second.kill("SIGTERM");
  expect(await second.exited).toBe(0);
  expect(await Bun.file(first.path).text()).toBe("precious");
}, 30_000);

test("with --standby a server that is killed leaves a dead device, whose registers read as all ones, until its client leaves", async () => {
  await using server = await startServer("--codec=null", "--standby");
  const standby = await until("the standby", () => children(server.pid).find((pid) => isStandby(pid)));
  using device = server.open();
  const regs = openRegisters(registers, device.bars[0]!);
  expect(regs.MAGIC.read()).toBe(MAGIC);
  server.kill("SIGKILL");
  await server.exited;
  expect(regs.MAGIC.read()).toBe(0xffff_ffff);
  regs.SPEED.write(1);
  expect(device.config.read32(0)).toBe(0x7022_10ee);
  device.reset();
  expect(regs.MAGIC.read()).toBe(0xffff_ffff);
  expect(isStandby(standby)).toBe(true);
  device[Symbol.dispose]();
  await until("the standby to be gone", () => !isStandby(standby));
});

test("with --standby, a client that was sent away or hung up is not served by the standby, and a stuck standby holds nothing up", async () => {
  await using server = await startServer("--codec=null", "--standby");
  const standby = await until("the standby", () => children(server.pid).find((pid) => isStandby(pid)));
  process.kill(standby, "SIGSTOP");
  using client = server.connect().agree();
  expect(client.read32(7, 0)).toBe(0x7022_10ee);
  server.kill("SIGTERM");
  expect(await server.exited).toBe(0);
  expect(client.dropped()).toBe(true);
  process.kill(standby, "SIGCONT");
  await until("the standby to be gone", () => !isStandby(standby));
});

test("with --standby, too, clients come and go, and a server that ends in good order hangs up on the last one", async () => {
  await using server = await startServer("--codec=null", "--standby");
  for (let i = 0; i < 3; i++) {
    using device = server.open();
    expect(openRegisters(registers, device.bars[0]!).MAGIC.read()).toBe(MAGIC);
  }
  using client = server.connect().agree();
  expect(client.read32(7, 0)).toBe(0x7022_10ee);
  server.kill("SIGTERM");
  expect(await server.exited).toBe(0);
  expect(client.dropped()).toBe(true);
});

test("a path that no socket can have is refused with exit code 1 and the reason", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "file");
  writeFileSync(file, "precious");
  for (const [path, reason] of [
    [file, "EADDRINUSE"],
    [join(folder.path, "no/such/folder"), "ENOENT"],
    [join(folder.path, "x".repeat(108)), "107"],
  ] as const) {
    const { exitCode, text } = await run("--socket", path, "--codec=null");
    expect([exitCode, text]).toEqual([1, expect.stringContaining(reason)]);
  }
  expect(await Bun.file(file).text()).toBe("precious");
}, 30_000);

test("without --socket the program says what is missing, with exit code 2", async () => {
  const { exitCode, text } = await run("--codec=null");
  expect([exitCode, text]).toEqual([2, expect.stringContaining("--socket")]);
});

test("registers are read while the codec works on a large frame, many times before it is done", async () => {
  await using server = await startServer("--codec=libvpx");
  using device = server.open();
  expect(openRegisters(registers, device.bars[0]!).CODEC.readFields().ID).toBe(
    registers.CODEC.fields.ID.values.LIBVPX,
  );
  const side = 640;
  const frameBytes = side * side * 1.5;
  using rig = new Rig(device, { memoryBytes: Place.FRAME + 2 * frameBytes });
  rig.frameBytes = frameBytes;
  rig.put(Place.FRAME, noise(frameBytes, 1));
  const size = side | (side << 16);
  await rig.run({ CODED_SIZE: size, VISIBLE_SIZE: size, SPEED: 0 });
  rig.submit({ output: rig.iova(Place.FRAME + frameBytes), outputBytes: frameBytes });
  let answers = 0;
  for (; rig.regs.CQ_TAIL.read() === 0 && answers < 10_000; answers++) {
    // The codec needs the machine's cores, too.
    await Bun.sleep(2);
  }
  expect((await rig.complete()).status).toBe("OK");
  expect(answers).toBeGreaterThan(20);
}, 30_000);

for (const options of [[], ["--trust"]])
  test(`a server that is told to end while it starts ends at once and leaves no socket (${options.join() || "no options"})`, async () => {
    for (const waitMs of [20, 60, 100, 150, 250]) {
      using folder = tempFolder();
      const path = join(folder.path, "model.sock");
      const child = Bun.spawn([process.execPath, PROGRAM, "--socket", path, "--codec=null", ...options], {
        stdio: ["ignore", "ignore", "ignore"],
      });
      await Bun.sleep(waitMs);
      child.kill("SIGTERM");
      await child.exited;
      expect(existsSync(path)).toBe(false);
    }
  }, 30_000);
