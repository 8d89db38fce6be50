/** peek, poke, regs, irq and reset as commands: on the encoder's model, and on a device that notes what it sees. */
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { connectUnix } from "../../src/os/socket.ts";
import { tempFolder } from "../media/rig.ts";
import { type Ended, ROOT, startScript, until } from "./rig.ts";

setDefaultTimeout(30_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
const MODEL = "model:vp9?codec=null";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const run = (verb: string, ...args: string[]): Promise<Ended> => startScript(`${verb}.ts`, ...args).ended();

/** What a run that must succeed, and say nothing else, prints. */
async function output(verb: string, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(verb, ...args);
  expect([exitCode, stderr]).toEqual([0, ""]);
  return text(stdout);
}

async function json(verb: string, ...args: string[]): Promise<Record<string, unknown>> {
  const lines = (await output(verb, ...args, "--json")).trim().split("\n");
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0]!) as Record<string, unknown>;
}

/** A run that fails, printing nothing but what is wrong. */
async function failure(code: number, verb: string, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(verb, ...args);
  expect([exitCode, text(stdout)]).toEqual([code, ""]);
  expect(stderr).not.toContain("    at "); // no stack
  return stderr;
}

describe("on the encoder's model", () => {
  test("peek shows few registers one a line, and many as a hex dump", async () => {
    expect(await output("peek", MODEL, "0:0")).toBe("0x00000000  0x45395056\n");
    expect(await output("peek", MODEL, "config:0x2c", "--width", "16", "--count", "2")).toBe(
      "0x0000002c  0x10ee\n0x0000002e  0x0007\n",
    );
    expect(await output("peek", MODEL, "0:0", "--count", "6")).toBe(
      "0x00000000  45395056 00010002 0003ffff 10001000\n0x00000010  00000d0a 00800000\n",
    );
    expect(await output("peek", MODEL, "0:0", "--width", "8", "--count", "5")).toBe(
      "0x00000000  56 50 39 45 02\n",
    );
  });

  test("peek --json gives values as text, exact at 64 bits", async () => {
    expect(await json("peek", MODEL, "0:0", "--width=64", "--count=2")).toEqual({
      device: MODEL,
      space: "BAR0",
      offset: 0,
      width: 64,
      values: ["0x0001000245395056", "0x100010000003ffff"],
      answers: true,
    });
    expect(await json("peek", MODEL, "config:0")).toEqual({
      device: MODEL,
      space: "config",
      offset: 0,
      width: 32,
      values: ["0x702210ee"],
      answers: true,
    });
  });

  test("a million registers reach a pipe whole", async () => {
    const { values } = await json("peek", MODEL, "1:0", "--width=64", "--count=0x10_0000");
    expect(values).toEqual(Array(1 << 20).fill("0x0000000000000000"));
  });

  test("poke writes consecutive registers and shows them only when asked to read back", async () => {
    const list = "1,0x2,0xffff_ffff_ffff_fffe";
    expect(await output("poke", MODEL, "1:0x10", list, "--width=64", "--read-back")).toBe(
      `BAR1:0x10 <- 3 values
0x00000010  0x0000000000000001
0x00000018  0x0000000000000002
0x00000020  0xfffffffffffffffe
`,
    );
    expect(await output("poke", MODEL, "1:0x10", "7")).toBe("BAR1:0x10 <- 0x00000007\n");
    expect(await json("poke", MODEL, "1:0x10", "7", "--count=5", "--width=16", "--read-back")).toEqual({
      device: MODEL,
      space: "BAR1",
      offset: 16,
      width: 16,
      count: 5,
      values: ["0x0007"],
      answers: true,
      readBack: Array(5).fill("0x0007"),
    });
  });

  test("poke --wait waits for another register before the device is closed", async () => {
    // START without settings fails: STATUS.STATE becomes FAILED.
    expect(await output("poke", MODEL, "0:0x40", "1", "--wait", "0:0x44:0xff=3")).toBe(
      "BAR0:0x40 <- 0x00000001\nBAR0:0x44 -> 0x00000003\n",
    );
    const { exitCode, stdout, stderr } = await run(
      "poke",
      MODEL,
      "0:0xa0",
      "1",
      "--wait=2=2",
      "--timeout=1",
      "--json",
    );
    expect(exitCode).toBe(1);
    expect(JSON.parse(text(stdout)).wait).toEqual({
      space: "BAR0",
      offset: 0xa0,
      value: "0x00000001",
      outcome: "timeout",
    });
    expect(stderr).toContain(
      `${MODEL}: BAR0:0xa0 & 0x00000002 did not become 0x00000002 within 1 s; it last read 0x00000001`,
    );
  });

  test("regs shows the encoder's registers with fields and names, and reads no write-only one", async () => {
    const lines = (await output("regs", MODEL)).trim().split("\n");
    expect(lines).toHaveLength(66);
    expect(lines.slice(0, 3)).toEqual([
      "0x000  MAGIC              0x45395056  1161384022",
      "0x004  VERSION            0x00010002  MINOR=2 MAJOR=1",
      "0x008  CAPS               0x0003ffff  WINDOW+ DMA+ SCATTER_GATHER+ MODERATION+ I420+ NV12+ CBR+ VBR+ CQ+ Q+ SETTINGS+ FRAME_CONTROL+ TEMPORAL_LAYERS+ I422+ I440+ I444+ BITS_10+ BITS_12+",
    ]);
    expect(lines).toContain("0x040  COMMAND            write-only");
    expect(lines).toContain("0x044  STATUS             0x00000000  STATE=IDLE");
    expect(await json("regs", MODEL, "status,COMMAND,IRQ_ENABLE,STALLS")).toEqual({
      device: MODEL,
      bar: 0,
      table: "encoder",
      answers: true,
      registers: {
        STATUS: {
          offset: 0x44,
          mode: "ro",
          width: 32,
          value: "0x00000000",
          fields: { STATE: { value: 0, name: "IDLE" } },
        },
        COMMAND: { offset: 0x40, mode: "wo", width: 32, value: null },
        IRQ_ENABLE: {
          offset: 0x184,
          mode: "rw",
          width: 32,
          value: "0x00000000",
          fields: { COMPLETION: { value: 0 }, STATE: { value: 0 } },
        },
        STALLS: { offset: 0x218, mode: "ro", width: 32, value: "0x00000000" },
      },
    });
    expect(await failure(2, "regs", MODEL, "NOPE")).toContain(
      "there is no register NOPE in table encoder; it has MAGIC, VERSION,",
    );
  });

  test("regs shows words where a range or another BAR is asked for", async () => {
    expect(await output("regs", MODEL, "--offset", "4", "--bytes", "8")).toBe(
      "0x00000004  0x00010002\n0x00000008  0x0003ffff\n",
    );
    const { exitCode, stdout, stderr } = await run("regs", MODEL, "--bar=1", "--json");
    expect(exitCode).toBe(0);
    expect(JSON.parse(text(stdout))).toEqual({
      device: MODEL,
      bar: 1,
      table: null,
      answers: true,
      offset: 0,
      width: 32,
      values: Array(64).fill("0x00000000"),
    });
    expect(stderr).toContain("the first 256 of 8388608 bytes of BAR1");
  });

  test("irq counts the endpoint's interrupts, by MSI and by an INTx that is acknowledged", async () => {
    const poke = "--poke=0:0x184=2,0:0x40=2";
    expect(await output("irq", MODEL, "--count=1", poke)).toBe("msi 0  1\n");
    // One and no more: it would strike again at once if nothing let go of it.
    expect(await json("irq", MODEL, "--kind=intx", "--timeout=1", poke, "--ack=0:0x180=2")).toEqual({
      device: MODEL,
      kind: "intx",
      interrupts: [{ vector: 0, count: 1, betweenMs: null }],
    });
    expect(await output("irq", MODEL, "--kind=intx", "--count=5", poke)).toMatch(
      /^intx 0 {2}5 {2}between: median \d+\.\d{3}, p99 \d+\.\d{3}, least \d+\.\d{3}, most \d+\.\d{3} ms\n$/,
    );
  });

  for (const kind of ["msi", "intx"]) {
    test(`irq --latency triggers round after round by ${kind}`, async () => {
      const args = [MODEL, "--kind", kind, "--latency", "--poke=0:0x184=2,0:0x40=2", "--ack=0:0x180=2"];
      const measured = await json("irq", ...args, "--count=20");
      expect(measured).toMatchObject({ device: MODEL, kind, rounds: 20 });
      const { least, median, p99, most } = measured.latencyUs as Record<string, number>;
      expect(Object.keys(measured.latencyUs as object)).toHaveLength(4);
      expect([least!, median!, p99!, most!].toSorted((a, b) => a - b)).toEqual([
        least!,
        median!,
        p99!,
        most!,
      ]);
      expect(least).toBeGreaterThan(0);
    });
  }

  test("irq --latency ends with what it measured when an interrupt stays away", async () => {
    const { exitCode, stdout, stderr } = await run(
      "irq",
      MODEL,
      "--latency",
      "--poke=0:0x40=2",
      "--timeout=1",
      "--json",
    );
    expect(exitCode).toBe(1);
    expect(JSON.parse(text(stdout))).toEqual({ device: MODEL, kind: "msi", rounds: 0, latencyUs: null });
    expect(stderr).toContain(`${MODEL}: 0 of 100 msi interrupts arrived within 1 s`);
  });

  test("irq says which kinds there are when it is asked for another", async () => {
    expect(await failure(1, "irq", MODEL, "--kind", "msix")).toContain(
      `${MODEL} has no msix; its vectors are 0 msix, 1 msi, 1 intx, 1 err, 1 req`,
    );
    expect(await failure(1, "irq", MODEL, "--vector", "1")).toContain(`${MODEL} has no vector 1 of msi`);
  });

  test("reset says by which way, and who answers before and after", async () => {
    expect(await output("reset", MODEL)).toMatch(
      /^model:vp9\?codec=null: 10ee:7022 reset by vfio-user in \d+\.\d ms; it answers as 10ee:7022\n$/,
    );
    expect(await json("reset", MODEL)).toEqual({
      device: MODEL,
      reachedBy: "vfio-user",
      before: "10ee:7022",
      after: "10ee:7022",
      resetMs: expect.any(Number),
    });
  });

  test("a BAR that is absent or too small is said with those there are", async () => {
    const bars = "it has BAR0 of 0x1000 bytes, BAR1 of 0x800000 bytes";
    expect(await failure(1, "peek", MODEL, "2:0")).toContain(`${MODEL} has no BAR2; ${bars}`);
    expect(await failure(1, "poke", MODEL, "0:0xffc", "1,2")).toContain(
      "8 bytes at BAR0:0xffc go past the end: BAR0 of model:vp9?codec=null has 0x1000 bytes",
    );
    expect(await failure(1, "irq", MODEL, "--poke=5:0=1")).toContain(`${MODEL} has no BAR5; ${bars}`);
    expect(await failure(1, "regs", MODEL, "--bar=1", "--offset=0x800000")).toContain("go past the end");
  });

  test("a device that can't be opened is said as openDevice says it", async () => {
    for (const verb of ["peek", "poke", "regs", "irq", "reset"]) {
      const rest = { peek: ["0:0"], poke: ["0:0", "1"] }[verb] ?? [];
      expect(await failure(1, verb, "model:no", ...rest)).toContain(
        'model:no: unknown model "no"; known: model:vp9',
      );
    }
  });
});

describe("a command line that makes no sense", () => {
  // Opening this would end with exit code 1.
  const SPEC = "vfio-user:/nowhere/at/all.sock";
  const cases: [reason: string, verb: string, ...args: string[]][] = [
    ["the device is missing", "peek"],
    ["the register to read, BAR:OFFSET or config:OFFSET, is missing", "peek", SPEC],
    ['"6" is not a register address', "peek", SPEC, "6"],
    ["BAR 6: it must be a whole number from 0 to 5\n", "peek", SPEC, "6:0"],
    ['"foo" is not a device that can be opened', "peek", "foo", "0:0"],
    ['"0:9.0" is not a device that can be opened', "reset", "0:9.0"],
    ["offset 0x1g: it must be a whole number", "peek", SPEC, "0:0x1g"],
    ["BAR0:0x2 is not aligned: with --width 32 it must be a multiple of 4", "peek", SPEC, "0:2"],
    ["configuration space accepts --width 8, 16 and 32", "peek", SPEC, "config:0", "--width=64"],
    ["go past the end of configuration space, 4096", "peek", SPEC, "config:0xffc", "--count=2"],
    ["--width 24: it must be one of 8, 16, 32, 64", "peek", SPEC, "0:0", "--width=24"],
    ["--count 0: it must be a whole number from 1", "peek", SPEC, "0:0", "--count=0"],
    ["--count 2: it must be a whole number from 1 to 1", "peek", SPEC, "0:0", "--count=2", "--wait=1=1"],
    ["it must be MASK=VALUE", "peek", SPEC, "0:0", "--wait=1"],
    ["bits outside the mask", "peek", SPEC, "0:0", "--wait=1=3"],
    ["--timeout 0: it must be a number of seconds", "peek", SPEC, "0:0", "--timeout=0"],
    ["say what to write", "poke", SPEC, "0:0"],
    ["value 256: it must be a number that fits 8 bits", "poke", SPEC, "0:0", "256", "--width=8"],
    ["value -1: it must be", "poke", SPEC, "0:0", "--", "-1"],
    ["--count repeats one value", "poke", SPEC, "0:0", "1,2", "--count=2"],
    ["give either values, or --set or --clear with a mask, not both", "poke", SPEC, "0:0", "1", "--set=1"],
    ["--set and --clear name the same bits", "poke", SPEC, "0:0", "--set=3", "--clear=1"],
    ["BAR0:0x6 is not aligned", "poke", SPEC, "0:0", "1", "--wait=0:6:1=1"],
    ["--bytes 6: it must be a multiple of 4", "regs", SPEC, "--bytes=6"],
    ["leave out --table and the names", "regs", SPEC, "STATUS", "--offset=0"],
    ["there is no register NOPE in table encoder", "regs", SPEC, "NOPE", "--table=encoder"],
    ["--table /nowhere.ts can't be loaded", "regs", SPEC, "--table=/nowhere.ts"],
    ["--latency needs --poke", "irq", SPEC, "--latency"],
    ["it must be BAR:OFFSET=VALUE", "irq", SPEC, "--poke=0:0"],
    ["--kind msii: it must be one of msix, msi, intx, err, req", "irq", SPEC, "--kind=msii"],
    ["--vector 2048", "irq", SPEC, "--vector=2048"],
    ["unknown option --bar", "reset", SPEC, "--bar=1"],
  ];
  for (const [reason, verb, ...args] of cases) {
    test(`"${verb} ${args.join(" ")}" is refused with exit code 2 before the device is opened`, async () => {
      expect(await failure(2, verb, ...args)).toContain(reason);
    });
  }

  test("a register table that is none is refused with what is wrong in it", async () => {
    const tables: [reason: string, source: string][] = [
      ["it exports no table", "export const table = {};"],
      [
        "the offset of A is 2; it must be a multiple of 4",
        'export const registers = { A: { offset: 2, mode: "ro" } };',
      ],
      [
        "the mode of A is rw1c; it must be one of ro, rw, wo, rc, w1c, w1s",
        'export const registers = { A: { offset: 0, mode: "rw1c" } };',
      ],
      [
        "the bits of A.F must be [low, high], from 0 to 31",
        'export const registers = { A: { offset: 0, mode: "ro", fields: { F: { bits: [3, 32] } } } };',
      ],
      [
        'A has "field", which no register has; the keys are offset, mode, about, width, order, count, stride, reset, range, fields',
        'export const registers = { A: { offset: 0, mode: "ro", field: {} } };',
      ],
      [
        'A.F has "bit", which no field has; the keys are bits, about, values',
        'export const registers = { A: { offset: 0, mode: "ro", fields: { F: { bit: [0, 1] } } } };',
      ],
      [
        "A.G and A.F both have bit 3",
        'export const registers = { A: { offset: 0, mode: "ro", fields: { F: { bits: [0, 3] }, G: { bits: [3, 4] } } } };',
      ],
      [
        "the value ON of A.F is 2; it must be from 0 to 1",
        'export const registers = { A: { offset: 0, mode: "ro", fields: { F: { bits: [3, 3], values: { ON: 2 } } } } };',
      ],
      [
        "B and C overlap at 0x4; only one that is never written and one that is never read may",
        'export const registers = { A: { offset: 4, mode: "ro" }, B: { offset: 4, mode: "wo" }, C: { offset: 4, mode: "wo" } };',
      ],
    ];
    for (const [i, [reason, source]] of tables.entries()) {
      const path = folder.file(`table-${i}.ts`);
      writeFileSync(path, source);
      expect(await failure(2, "regs", SPEC, "--table", path)).toContain(`--table ${path}: ${reason}`);
    }
  });

  test("the table in docs that --help shows is none that is refused", async () => {
    expect(await failure(1, "regs", SPEC, "--table", "examples/edu/edu.ts")).toContain("no such socket");
  });

  test("with --json what is wrong is on standard output, too, in one object", async () => {
    for (const [spec, code] of [
      ["foo", 2],
      [SPEC, 1],
    ] as const) {
      const { exitCode, stdout, stderr } = await run("peek", spec, "0:0", "--json");
      const { error, ...rest } = JSON.parse(text(stdout));
      expect([exitCode, rest]).toEqual([code, {}]);
      expect(stderr).toContain(error);
    }
  });

  test("--help names the forms of a device, examples and exit codes, and what opening does", async () => {
    for (const verb of ["peek", "poke", "regs", "irq", "reset"]) {
      const help = (await output(verb, "--help")).replaceAll(/\s+/g, " ");
      for (const part of [
        "0000:00:09.0, 10ee:7022, nvme0n1, vfio-user:/path/to.sock or model:vp9",
        "Examples:",
        `bun run ${verb}.ts`,
        "Exit codes: 0",
        "--json",
        "turns its memory decode and bus master on",
      ])
        expect(help).toContain(part);
    }
  });
});

describe("on a device that notes what it sees", () => {
  const path = folder.file("noting.sock");
  const SPEC = `vfio-user:${path}`;
  const OPENING = ["read config:0x4 16", "write config:0x4 16 0x7"];
  const CLOSING = ["read config:0x4 16", "write config:0x4 16 0x3"];
  /** Whether it answers, and whether the writes before have arrived. */
  const PRESENCE = "read config:0x4 16";
  const notes: string[] = [];
  let device: Bun.Subprocess<"ignore", "pipe", "inherit">;

  beforeAll(async () => {
    device = Bun.spawn([process.execPath, `${ROOT}/test/scripts/noting-device.ts`, path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    void collect();
    await until(() => notes.shift() === "ready", "the device to listen");
  });
  afterAll(async () => {
    device.kill();
    await device.exited;
  });

  async function collect(): Promise<void> {
    let rest = "";
    for await (const chunk of device.stdout) {
      const lines = (rest + text(chunk)).split("\n");
      rest = lines.pop()!;
      notes.push(...lines);
    }
  }

  /** Takes what was noted. The device serves one client after the other: once it noted a visit that does nothing, it noted all. */
  async function takeNotes(): Promise<string[]> {
    connectUnix(path)[Symbol.dispose]();
    await until(() => notes.at(-2) === "come" && notes.at(-1) === "gone", "the device to note a visit", 5000);
    return notes.splice(0).slice(0, -2);
  }
  afterEach(() => takeNotes());

  /** What the device saw of its one client, between opening and closing. */
  async function seen(): Promise<string[]> {
    const lines = await takeNotes();
    expect(lines.shift()).toBe("come");
    expect(lines.slice(0, 2)).toEqual(OPENING);
    expect(lines.slice(-3)).toEqual([...CLOSING, "gone"]);
    return lines.slice(2, -3);
  }

  for (const width of ["8", "16", "32", "64"]) {
    test(`${width} bits are one access of ${width} bits, for reading and for writing`, async () => {
      await output("peek", SPEC, "2:0x40", "--width", width);
      expect(await seen()).toEqual([`read BAR2:0x40 ${width}`]);
      await output("poke", SPEC, "2:0x40", "0x5a", "--width", width);
      expect(await seen()).toEqual([`write BAR2:0x40 ${width} 0x5a`, PRESENCE]);
      if (width === "64") return;
      await output("peek", SPEC, "config:0x40", "--width", width);
      expect(await seen()).toEqual([`read config:0x40 ${width}`]);
      await output("poke", SPEC, "config:0x40", "0x5a", "--width", width);
      expect(await seen()).toEqual([`write config:0x40 ${width} 0x5a`, PRESENCE]);
    });
  }

  test("several registers are accessed in order, each once, on one opening of the device", async () => {
    await output("peek", SPEC, "2:8", "--width=16", "--count=3");
    expect(await seen()).toEqual(["read BAR2:0x8 16", "read BAR2:0xa 16", "read BAR2:0xc 16"]);
    await output("poke", SPEC, "2:8", "1,2", "--width=64");
    expect(await seen()).toEqual(["write BAR2:0x8 64 0x1", "write BAR2:0x10 64 0x2", PRESENCE]);
    await output("poke", SPEC, "2:8", "3", "--count=2");
    expect(await seen()).toEqual(["write BAR2:0x8 32 0x3", "write BAR2:0xc 32 0x3", PRESENCE]);
  });

  test("a poke never reads what it writes, so a register that a read clears keeps its value", async () => {
    expect(await output("poke", SPEC, "0:0x10", "0x77")).toBe("BAR0:0x10 <- 0x00000077\n");
    expect(await seen()).toEqual(["write BAR0:0x10 32 0x77", PRESENCE]);
    expect(await output("peek", SPEC, "0:0x10")).toBe("0x00000010  0x00000077\n");
    expect(await output("peek", SPEC, "0:0x10")).toBe("0x00000010  0x00000000\n");
  });

  test("a read-back is one read, after the write", async () => {
    expect(await output("poke", SPEC, "0:0x10", "0x77", "--read-back")).toBe(
      "BAR0:0x10 <- 0x00000077\n0x00000010  0x00000077\n",
    );
    expect(await seen()).toEqual(["write BAR0:0x10 32 0x77", PRESENCE, "read BAR0:0x10 32"]);
  });

  test("--set and --clear are one read and one write", async () => {
    await output("poke", SPEC, "2:0", "0xf0");
    await seen();
    const changed = await output("poke", SPEC, "2:0", "--set=3", "--clear=0x30", "--width=16");
    expect(changed).toBe("BAR2:0x0 <- 0x00c3\n");
    expect(await seen()).toEqual(["read BAR2:0x0 16", "write BAR2:0x0 16 0xc3", PRESENCE]);
  });

  test("peek --wait reads until the bits are there, and shows the value that fulfilled it", async () => {
    await output("poke", SPEC, "0:0x30", "0x10");
    await seen();
    expect(await output("peek", SPEC, "0:0x30", "--wait=0xc=0x8")).toBe("0x00000030  0x00000018\n");
    expect(await seen()).toEqual(Array(8).fill("read BAR0:0x30 32"));
  });

  test("peek --wait gives up in time with exit code 1 and what it read last", async () => {
    const late = await failure(1, "peek", SPEC, "2:0x100", "--wait=1=1", "--timeout=1");
    expect(late).toContain(
      "BAR2:0x100 & 0x00000001 did not become 0x00000001 within 1 s; it last read 0x00000000",
    );
    await seen();
  });

  test("Ctrl-C ends peek --wait with exit code 130, and the device is closed", async () => {
    const running = startScript("peek.ts", SPEC, "2:0x100", "--wait=1=1", "--timeout=600", "--json");
    await until(() => notes.includes("read BAR2:0x100 32"), "peek to read");
    running.signalGroup("SIGINT");
    const { exitCode, stdout } = await running.ended();
    expect(JSON.parse(text(stdout))).toMatchObject({ values: ["0x00000000"], outcome: "interrupted" });
    expect(exitCode).toBe(130);
    await seen();
  });

  test("a user's register table names what is read, and a write-only register is not read", async () => {
    const table = folder.file("noting.ts");
    writeFileSync(
      table,
      `import type { RegisterTable } from "${ROOT}/src/registers/table.ts";
export const registers = {
  MODE: { offset: 0x40, mode: "rw", about: "", fields: {
    SPEED: { bits: [0, 3], about: "", values: { SLOW: 0, FAST: 5 } },
    ON: { bits: [31, 31], about: "" },
    LEVEL: { bits: [4, 15], about: "" },
  } },
  GO: { offset: 0x44, mode: "wo", about: "" },
  COUNT: { offset: 0x1000, mode: "ro", about: "" },
} as const satisfies RegisterTable;
`,
    );
    await output("poke", SPEC, "2:0x40", "0x8000_0125,1");
    await seen();
    expect(await output("regs", SPEC, "MODE,GO", "--table", table, "--bar=2")).toBe(
      "0x040  MODE  0x80000125  SPEED=FAST ON+ LEVEL=18\n0x044  GO    write-only\n",
    );
    expect(await seen()).toEqual(["read BAR2:0x40 32"]);
    expect(await failure(1, "regs", SPEC, "--table", table, "--bar=2")).toContain(
      `COUNT of table ${table} lies at 0x1000, and BAR2 has 0x1000 bytes; is it in another BAR?`,
    );
    expect(await seen()).toEqual([]);
  });

  test("regs takes no device for the encoder that has other ids, and reads no magic there", async () => {
    const { exitCode, stdout, stderr } = await run("regs", SPEC, "--json");
    expect(exitCode).toBe(0);
    expect(JSON.parse(text(stdout))).toMatchObject({ bar: 0, table: null, offset: 0 });
    expect(JSON.parse(text(stdout)).values).toHaveLength(64);
    expect(stderr).toBe("");
    const reads = (await seen()).filter((line) => line.startsWith("read BAR0"));
    expect(reads).toEqual(Array.from({ length: 64 }, (_, i) => `read BAR0:0x${(i * 4).toString(16)} 32`));
    expect(await failure(2, "regs", SPEC, "STATUS")).toContain("no register table is known for its ids");
  });

  test("regs says so where it is told to take a device for the encoder that is none", async () => {
    const { exitCode, stderr } = await run("regs", SPEC, "MAGIC", "--table=encoder");
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/vfio-user:.* is not the encoder: its MAGIC reads 0x\w+, not 0x45395056/);
    await seen();
  });

  test("irq tells vectors apart, and watches one alone when it is named", async () => {
    expect(await output("irq", SPEC, "--poke=0:0x20=2", "--count=1")).toBe(
      "msi 0  0\nmsi 1  0\nmsi 2  1\nmsi 3  0\n",
    );
    expect(await seen()).toEqual(["write BAR0:0x20 32 0x2", PRESENCE]);
    const poke = "--poke=0:0x20=1,0:0x20=2,0:0x20=2";
    const { interrupts } = await json("irq", SPEC, "--vector=2", poke, "--count=2");
    // The two may come at once, and then there is no time between them.
    expect(interrupts).toMatchObject([{ vector: 2, count: 2 }]);
  });

  test("an INTx is acknowledged before it is let through again", async () => {
    expect(await output("irq", SPEC, "--kind=intx", "--poke=0:0x20=9", "--ack=0:0x24=1", "--timeout=1")).toBe(
      "intx 0  1\n",
    );
    expect(await seen()).toEqual(["write BAR0:0x20 32 0x9", "write BAR0:0x24 32 0x1", PRESENCE]);
  });

  test("fewer interrupts than asked for are printed, with exit code 1", async () => {
    const { exitCode, stdout, stderr } = await run(
      "irq",
      SPEC,
      "--kind=intx",
      "--poke=0:0x20=9",
      "--ack=0:0x24=1",
      "--count=2",
      "--timeout=1",
    );
    expect([exitCode, text(stdout)]).toEqual([1, "intx 0  1\n"]);
    expect(stderr).toContain(`${SPEC}: 1 of 2 intx interrupts arrived within 1 s`);
    await seen();
  });

  for (const [came, exitCode] of [
    [1, 0],
    [0, 130],
  ] as const) {
    test(`Ctrl-C after ${came} interrupts prints what was counted, with exit code ${exitCode}`, async () => {
      // Vector 3 is not watched.
      const running = startScript(
        "irq.ts",
        SPEC,
        "--vector=2",
        `--poke=0:0x20=${came ? 2 : 3}`,
        "--timeout=600",
      );
      await until(() => notes.some((line) => line.startsWith("write BAR0:0x20")), "irq to trigger");
      await Bun.sleep(200);
      running.signalGroup("SIGINT");
      const ended = await running.ended();
      expect([ended.exitCode, text(ended.stdout)]).toEqual([exitCode, `msi 2  ${came}\n`]);
      if (!came) expect(ended.stderr).toContain("0 msi interrupts arrived before the interruption");
      await seen();
    });
  }

  test("reset resets once, and turns nothing else off", async () => {
    await output("reset", SPEC);
    const ids = ["read config:0x0 16", "read config:0x2 16"];
    expect(await seen()).toEqual([
      PRESENCE,
      ...ids,
      "reset",
      ...OPENING.toSpliced(1, 1, "write config:0x4 16 0x7"),
      PRESENCE,
      "read BAR0:0x0 32",
      ...ids,
    ]);
  });
});
