/** What peek, poke, regs, irq and reset do with a device that does not answer, is slow to, or refuses. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { listenUnix } from "../../src/os/socket.ts";
import { tempFolder } from "../media/rig.ts";
import { startServer } from "../model/rig.ts";
import { type Ended, ROOT, sizeOf, start, startScript, until } from "./rig.ts";

setDefaultTimeout(60_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
let servers = 0;

async function run(verb: string, ...args: string[]) {
  const { exitCode, stdout, stderr }: Ended = await startScript(`${verb}.ts`, ...args).ended();
  return { exitCode, stdout: new TextDecoder().decode(stdout), stderr };
}

interface Served extends AsyncDisposable {
  readonly spec: string;
  /** What it has printed since it was last asked, and "ready" before. */
  notes(): Promise<string[]>;
}

/** A device behind a server of its own: test/scripts/noting-device.ts or test/device/vfio-user/message-device.ts. */
async function serve(program: string): Promise<Served> {
  const socket = folder.file(`answers-${++servers}`);
  const server = Bun.spawn([process.execPath, `${ROOT}/test/${program}`, socket], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  void (async () => {
    for await (const chunk of server.stdout) text += new TextDecoder().decode(chunk);
  })();
  await until(() => text.includes("ready\n"), "the device to listen");
  return {
    spec: `vfio-user:${socket}`,
    notes: async () => {
      await until(() => text.endsWith("gone\n"), "the device to note that its client is gone");
      const lines = text.split("\n").slice(0, -1);
      text = "";
      return lines;
    },
    [Symbol.asyncDispose]: async () => {
      server.kill();
      await server.exited;
    },
  };
}

const noting = () => serve("scripts/noting-device.ts");
const ONES = "0xffffffff";
const FRAME_BYTES = (64 * 64 * 3) / 2;
const GONE = "its configuration space reads as all ones: it no longer answers";
const DEAD = "its configuration space answers, but the first word of BAR0";

describe.each([
  ["wholly", "3", GONE],
  ["behind its configuration space", "2", DEAD],
])("A device that is dead %s", (_, kill, reason) => {
  async function dead(): Promise<Served> {
    const served = await noting();
    await run("poke", served.spec, "0:0x38", kill);
    return served;
  }

  /** Printed what was read, one line on standard error, exit code 5. */
  function expectSilent(ended: Awaited<ReturnType<typeof run>>, spec: string, stdout: string): void {
    expect(ended.stdout).toBe(stdout);
    expect(ended.stderr.trim().split("\n")).toHaveLength(1);
    expect(ended.stderr).toContain(`${spec}: ${reason}`);
    expect(ended.exitCode).toBe(5);
  }

  test("peek prints what it read, says so, and ends with exit code 5", async () => {
    await using served = await dead();
    const { spec } = served;
    expectSilent(await run("peek", spec, "2:0x10"), spec, `0x00000010  ${ONES}\n`);
    const width = ["--width", "8", "--count", "4"];
    expectSilent(
      await run("peek", spec, "0:4", ...width),
      spec,
      "0x00000004  0xff\n0x00000005  0xff\n0x00000006  0xff\n0x00000007  0xff\n",
    );
    const { exitCode, stdout } = await run("peek", spec, "0:0", "--width=64", "--json");
    expect([exitCode, JSON.parse(stdout)]).toMatchObject([
      5,
      { values: [`${ONES}ffffffff`], answers: false },
    ]);
  });

  test("peek --wait is not fulfilled by it", async () => {
    await using served = await dead();
    const { spec } = served;
    expectSilent(await run("peek", spec, "0:4", "--wait=1=1"), spec, `0x00000004  ${ONES}\n`);
    expectSilent(await run("peek", spec, "0:4", "--wait=1=0", "--timeout=1"), spec, `0x00000004  ${ONES}\n`);
  });

  test("poke --read-back prints what it wrote and read, says so, and ends with exit code 5", async () => {
    await using served = await dead();
    const { spec } = served;
    expectSilent(
      await run("poke", spec, "2:8", "3", "--read-back"),
      spec,
      `BAR2:0x8 <- 0x00000003\n0x00000008  ${ONES}\n`,
    );
    const { exitCode, stdout } = await run("poke", spec, "2:8", "3", "--read-back", "--json");
    expect([exitCode, JSON.parse(stdout)]).toMatchObject([5, { readBack: [ONES], answers: false }]);
  });

  test("poke --wait for another register is not fulfilled by it", async () => {
    await using served = await dead();
    const { exitCode, stderr } = await run("poke", served.spec, "2:8", "3", "--wait=0:4:1=1");
    expect(exitCode).toBe(5);
    expect(stderr).toContain(`${served.spec}: ${reason}`);
  });

  test("regs prints what it read, with a table and without, says so, and ends with exit code 5", async () => {
    await using served = await dead();
    const { spec } = served;
    const table = folder.file("two.ts");
    writeFileSync(
      table,
      'export const registers = { A: { offset: 0, mode: "ro", about: "" }, GO: { offset: 4, mode: "wo", about: "" }, B: { offset: 8, mode: "ro", about: "" } };',
    );
    const shown = `0x000  A   ${ONES}  4294967295\n0x004  GO  write-only\n0x008  B   ${ONES}  4294967295\n`;
    expectSilent(await run("regs", spec, "--table", table), spec, shown);
    const raw = await run("regs", spec);
    expectSilent(raw, spec, raw.stdout);
    expect(raw.stdout.match(/ffffffff/g)).toHaveLength(64);
    for (const args of [["--table", table], []]) {
      const { exitCode, stdout } = await run("regs", spec, ...args, "--json");
      expect([exitCode, JSON.parse(stdout)]).toMatchObject([5, { bar: 0, answers: false }]);
    }
  });

  test("reset does not say that it is back", async () => {
    await using served = await dead();
    const { exitCode, stdout, stderr } = await run("reset", served.spec);
    expect([exitCode, stdout]).toEqual([5, ""]);
    expect(stderr).toContain(reason);
    const json = await run("reset", served.spec, "--json");
    expect([json.exitCode, JSON.parse(json.stdout)]).toEqual([
      5,
      { error: expect.stringContaining(reason), answers: false },
    ]);
  });
});

test("memory in another BAR is no sign of life", async () => {
  await using served = await noting();
  const { spec } = served;
  await run("poke", spec, "0:0x38", "1");
  const { exitCode, stdout, stderr } = await run("peek", spec, "0:4");
  expect([exitCode, stdout]).toEqual([5, `0x00000004  ${ONES}\n`]);
  expect(stderr).toContain(DEAD);
  expect(await run("reset", spec)).toMatchObject({ exitCode: 5, stdout: "" });
  expect(await run("peek", spec, "2:0")).toEqual({
    exitCode: 0,
    stdout: "0x00000000  0x00000000\n",
    stderr: "",
  });
});

describe("A device that is well", () => {
  test("may hold all ones in a register: it is shown, and one more word is read to see that", async () => {
    await using served = await noting();
    const { spec, notes } = served;
    await run("poke", spec, "2:0", "0xffff_ffff");
    await notes();
    expect(await run("peek", spec, "2:0")).toEqual({
      exitCode: 0,
      stdout: `0x00000000  ${ONES}\n`,
      stderr: "",
    });
    expect((await notes()).slice(3, -3)).toEqual([
      "read BAR2:0x0 32",
      "read config:0x4 16",
      "read BAR0:0x0 32",
    ]);
    const part = await run("peek", spec, "2:0", "--width=8");
    expect(part).toEqual({ exitCode: 0, stdout: "0x00000000  0xff\n", stderr: "" });
    expect((await notes()).slice(3, -3)).toEqual(["read BAR2:0x0 8", "read config:0x4 16"]);
    const { stdout } = await run("peek", spec, "2:0", "--count=2", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ values: [ONES, "0x00000000"], answers: true });
    expect((await notes()).filter((line) => line.startsWith("read BAR0"))).toEqual([]);
  });

  test("may have 0xffff for a vendor id, as virtual functions have", async () => {
    await using served = await noting();
    const { spec } = served;
    expect((await run("poke", spec, "config:0", "0xffff_ffff")).exitCode).toBe(0);
    expect(await run("peek", spec, "config:0")).toEqual({
      exitCode: 0,
      stdout: `0x00000000  ${ONES}\n`,
      stderr: "",
    });
    expect(await run("reset", spec)).toMatchObject({ exitCode: 0, stderr: "" });
  });
});

test("a device that goes while poke writes is said so, with exit code 5", async () => {
  await using served = await noting();
  const { exitCode, stdout, stderr } = await run("poke", served.spec, "0:0x34", "1");
  expect([exitCode, stdout]).toEqual([5, "BAR0:0x34 <- 0x00000001\n"]);
  expect(stderr).toContain(`${served.spec}: ${GONE}`);
});

test("irq ends with exit code 5 on a device that goes", async () => {
  await using served = await noting();
  const { exitCode, stderr } = await run("irq", served.spec, "--poke=0:0x34=1", "--timeout=1");
  expect(exitCode).toBe(5);
  expect(stderr).toContain(`${served.spec}: ${GONE}`);
});

test("a write that the server refuses is an error, whatever its width, and says where", async () => {
  await using served = await serve("device/vfio-user/message-device.ts");
  const { spec } = served;
  for (const [width, bytes] of [
    ["8", "1 byte"],
    ["16", "2 bytes"],
  ] as const) {
    const { exitCode, stdout, stderr } = await run("poke", spec, "0:0x40", "1", "--width", width);
    expect([exitCode, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(`${spec}: the server refused REGION_WRITE of ${bytes} at BAR0:0x40: EINVAL`);
  }
  expect(await run("poke", spec, "0:0x40", "1")).toMatchObject({ exitCode: 0 });
});

describe("The time limit that was asked for is a hung server's", () => {
  const cases: [seconds: string, verb: string, ...args: string[]][] = [
    ["0.5", "peek", "DEVICE", "0:0"],
    ["7", "peek", "DEVICE", "0:0"],
    ["0.5", "poke", "DEVICE", "0:0", "1"],
    ["0.5", "irq", "DEVICE"],
    ["1", "encode", "--device=DEVICE", "--frames=1", "-o", folder.file("hung.ivf")],
    ["7", "encode", "--device=DEVICE", "--frames=1", "-o", folder.file("hung.ivf")],
  ];
  for (const [seconds, verb, ...args] of cases)
    test(`${verb} --timeout ${seconds}, when it is opened`, async () => {
      const path = folder.file(`hung-${verb}-${seconds}`);
      // Connections wait for an accept that never comes.
      using _listener = listenUnix(path);
      const words = args.map((word) => word.replace("DEVICE", `vfio-user:${path}`));
      const { exitCode, stderr } = await run(verb, ...words, "--timeout", seconds);
      expect(stderr).toContain(`no answer to VERSION within ${Number(seconds) * 1000} ms`);
      expect(exitCode).toBe(1);
    });

  for (const seconds of [1, 7])
    test(`encode --timeout ${seconds}, when it stops in the middle`, async () => {
      await using server = await startServer("--codec", "null");
      const output = folder.file(`stopped-${seconds}.ivf`);
      const spec = `vfio-user:${server.path}`;
      const args = [
        "--device",
        spec,
        "--size=64x64",
        "--fps=10",
        `--timeout=${seconds}`,
        "--recover=0",
        "-o",
        output,
      ];
      const running = start(["bun", "run", "encode.ts", "-", ...args], { stdin: "pipe" });
      const feed = async (frames: number) => {
        running.stdin.write(new Uint8Array(frames * FRAME_BYTES));
        await running.stdin.flush();
      };
      await feed(4);
      await until(() => sizeOf(output) > 100, "frames to come out");
      server.kill("SIGSTOP");
      await feed(4);
      const { exitCode, stderr } = await running.ended();
      expect(stderr).toMatch(new RegExp(`no answer to REGION_\\w+ within ${seconds * 1000} ms`));
      expect(exitCode).toBe(1);
    });
});
