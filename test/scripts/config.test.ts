/** config as a command: on the encoder's model, and on a device that notes what it sees. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { tempFolder } from "../media/rig.ts";
import { type Ended, ROOT, startScript, until } from "./rig.ts";

setDefaultTimeout(60_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
let servers = 0;
const MODEL = "model:vp9?codec=null";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const run = (...args: string[]): Promise<Ended> => startScript("config.ts", ...args).ended();

async function output(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(...args);
  expect([exitCode, stderr]).toEqual([0, ""]);
  return text(stdout);
}

const json = async (...args: string[]) =>
  JSON.parse(await output(...args, "--json")) as Record<string, unknown>;

/** A run that fails, printing nothing but what is wrong. */
async function failure(code: number, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(...args);
  expect([exitCode, text(stdout)]).toEqual([code, ""]);
  expect(stderr).not.toContain("    at "); // no stack
  return stderr;
}

describe("on the encoder's model", () => {
  test("registers are read by setpci's names, by number, and by the names in info's JSON and text", async () => {
    const power = "D0 NoSoftRst+ PME-Enable- DSel=0 DScale=0 PME-";
    expect(
      await output(
        ...[
          MODEL,
          "VENDOR_ID",
          "device_id",
          "2c.l",
          "0x2c.w",
          "COMMAND+1.b",
          "CAP_PM+4.w",
          "CAP1+4.w",
          "CAP_PM+5.b",
        ],
        ...["CAP_PM.powerManagementControlStatus", "CAP_PM.Status", "Power Management.status", "BAR1"],
      ),
    ).toBe(
      [
        "VENDOR_ID                            0x10ee",
        "device_id                            0x7022",
        "2c.l                                 0x000710ee",
        "0x2c.w                               0x10ee",
        "COMMAND+1.b                          0x00",
        `CAP_PM+4.w                           0x0008  ${power}`,
        `CAP1+4.w                             0x0008  ${power}`,
        "CAP_PM+5.b                           0x00",
        `CAP_PM.powerManagementControlStatus  0x0008  ${power}`,
        `CAP_PM.Status                        0x0008  ${power}`,
        `Power Management.status              0x0008  ${power}`,
        "BAR1                                 0x00000000\n",
      ].join("\n"),
    );
  });

  test("a value replaces a register, one with a mask only the mask's bits, several go to consecutive ones", async () => {
    expect(
      await output(
        MODEL,
        "COMMAND=0402",
        "COMMAND=1:3",
        "COMMAND",
        "CAP_MSI+4.l=fee00000,1",
        "CAP_MSI+4.l",
        "CAP_MSI+8.l",
      ),
    ).toBe(
      `COMMAND     <- 0x0402
COMMAND     <- 0x0401
COMMAND      0x0400  I/O- Mem- BusMaster- SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx+
CAP_MSI+4.l <- 0xfee00000 0x00000001
CAP_MSI+4.l  0xfee00000
CAP_MSI+8.l  0x00000001
`,
    );
  });

  test("a register of 64 bits is one value; --read-back shows what became of what was written", async () => {
    expect(
      await output(MODEL, "CAP_MSI.messageAddress=11223344_55667788", "CAP_PM+4.w=8003:8003", "--read-back"),
    ).toBe(
      `CAP_MSI.messageAddress <- 0x1122334455667788
CAP_MSI.messageAddress  0x1122334455667788  1122334455667788  Data: 0000
CAP_PM+4.w             <- 0x800b
CAP_PM+4.w              0x000b  D3 NoSoftRst+ PME-Enable- DSel=0 DScale=0 PME-
`,
    );
  });

  test("--dry-run shows the old and the new value, and writes nothing", async () => {
    expect(await output(MODEL, "COMMAND=0:4", "COMMAND", "40.w=1,2", "--dry-run", "--read-back")).toBe(
      `COMMAND  0x0006 -> 0x0002
COMMAND  0x0006  I/O- Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx-
40.w     0x0000 0x0000 -> 0x0001 0x0002
`,
    );
  });

  test("--json has numbers for places, text for values, and the fields by the specification's names", async () => {
    expect(await json(MODEL, "ECAP_AER.correctableErrorMask=0:1", "40.b", "COMMAND", "--read-back")).toEqual({
      device: MODEL,
      dryRun: false,
      answers: true,
      operations: [
        {
          place: "ECAP_AER.correctableErrorMask",
          register: "correctableErrorMask",
          offset: 0x114,
          width: 32,
          write: true,
          values: [expect.stringMatching(/^0x[0-9a-f]{8}$/)],
          before: [expect.stringMatching(/^0x[0-9a-f]{8}$/)],
          readBack: [expect.stringMatching(/^0x[0-9a-f]{8}$/)],
          fields: expect.objectContaining({ receiverError: false, badTlp: true }),
        },
        { place: "40.b", offset: 0x40, width: 8, write: false, values: ["0x00"] },
        {
          place: "COMMAND",
          register: "command",
          offset: 4,
          width: 16,
          write: false,
          values: ["0x0006"],
          fields: expect.objectContaining({ memorySpaceEnable: true, ioSpaceEnable: false }),
        },
      ],
    });
  });

  test("--list has the names of the device's registers, each of which reads its register", async () => {
    const lines = (await output(MODEL, "--list")).trim().split("\n");
    expect(lines).toContain("0x004  16  COMMAND");
    expect(lines).toContain("0x080      CAP_PM                                        Power Management");
    expect(lines).not.toContainEqual(expect.stringContaining("PRIMARY_BUS"));
    const names = (await json(MODEL, "--list")).names as {
      name: string;
      offset: number;
      width: number | null;
    }[];
    expect(names.map(({ name }) => name)).toEqual(
      lines.map((line) => line.slice(11).trim().split(/ {2,}/)[0]!),
    );
    const registers = names.filter(({ width }) => width !== null);
    expect(registers.length).toBeGreaterThan(40);
    const { operations } = await json(MODEL, ...registers.map(({ name }) => name));
    expect(
      (operations as { offset: number; width: number }[]).map(({ offset, width }) => ({ offset, width })),
    ).toEqual(registers.map(({ offset, width }) => ({ offset, width: width! })));
  });

  test("--list without a device has all names", async () => {
    const lines = (await output("--list")).split("\n").map((line) => line.trim().replace(/ +/g, " "));
    expect(lines).toContain("0x03e 16 BRIDGE_CONTROL type 1 (bridge), type 2 (CardBus)");
    expect(lines).toContain("ECAP_AER Advanced Error Reporting");
  });

  test.each([
    [
      "CAP_MSIX+2.w",
      1,
      "has no CAP_MSIX (MSI-X); it has CAP_PM at 0x80, CAP_MSI at 0x90, CAP_EXP at 0xc0, ECAP_AER at 0x100",
    ],
    ["ECAP2+4.l", 1, "has no ECAP_VC (Virtual Channel); it has CAP_PM"],
    ["ECAP7ff+4.l", 1, "has no ECAP7ff; it has CAP_PM"],
    ["CAP_PM+4.w@1", 1, "has 1 of CAP_PM (Power Management), at 0x80, so the last is @0"],
    ["PRIMARY_BUS=1", 1, "only the header of a bridge (type 1) has this register; the header of"],
    [
      "CAP_EXP.linkSpeeds",
      2,
      'CAP_EXP of model:vp9?codec=null has no register "linkSpeeds"; it has pciExpressCapabilities,',
    ],
    ["CAP_EXP.deviceControll", 2, "it has deviceControl, deviceControl2; --list shows the names"],
    ["CAP_EXP.deviceControl+1", 2, "is not aligned: 16 bits need a multiple of 2"],
    ["CAP_EXP.deviceControl=10000", 2, "0x10000 has more than the register's 16 bits"],
  ])("%s is refused, with what there is instead", async (operation, code, reason) => {
    // The first operation is not carried out either.
    expect(await failure(code, MODEL, "COMMAND=0", operation)).toContain(`${operation.split("=")[0]}: `);
    expect(await failure(code, MODEL, operation)).toContain(reason);
  });
});

describe("a command line that makes no sense", () => {
  // Opening this would end with exit code 1.
  const SPEC = "vfio-user:/nowhere/at/all.sock";
  const cases: [reason: string, ...args: string[]][] = [
    ["the device is missing"],
    ["say which register to read or write", SPEC],
    ['there is no register or capability "COMAND"; there is COMMAND; --list shows the names', SPEC, "COMAND"],
    ['there is no register or capability "CAP_EXPR"; there is CAP_EXP;', SPEC, "CAP_EXPR+8.w"],
    ['there is no register or capability "ECAP_XYZZY"; --list shows', SPEC, "ECAP_XYZZY.l"],
    ["names no register", SPEC, "=6"],
    ["the id of a capability has 8 bits; ECAP100 is an extended one", SPEC, "CAP100.l"],
    ["0x12345 has more than the register's 16 bits (numbers are hexadecimal)", SPEC, "COMMAND=12345"],
    ["0x12345 has more than the register's 16 bits", SPEC, "COMMAND=0:12345"],
    ["0x100 has more than the register's 8 bits", SPEC, "CAP_EXP.linkControl.b=100"],
    ['"g" must be VALUE or VALUE:MASK, hexadecimal numbers', SPEC, "COMMAND=g"],
    ['"1:2:3" must be VALUE or VALUE:MASK', SPEC, "COMMAND=1:2:3"],
    ['"" must be VALUE or VALUE:MASK', SPEC, "COMMAND="],
    ['"" must be VALUE or VALUE:MASK', SPEC, "40.l=1,,2"],
    ["offset 0x3 is not aligned: 16 bits need a multiple of 2", SPEC, "3.w"],
    ["offset 0x6 is not aligned: 32 bits need a multiple of 4", SPEC, "COMMAND+2.l"],
    ["CAP_EXP+9.w: offset 0x9 is not aligned", SPEC, "CAP_EXP+9.w"],
    [
      "it goes past the end of configuration space, which has at most 0x1000 bytes (PCI Express",
      SPEC,
      "1000.b",
    ],
    ["it goes past the end of configuration space", SPEC, "ffc.l=1,2"],
    ["40: say how wide it is with .b, .w or .l (8, 16 or 32 bits), such as 40.w", SPEC, "40"],
    ["such as CAP_VNDR+4.w@1, or name a register of it", SPEC, "CAP_VNDR+4@1"],
    ["the width must be .b, .w or .l (8, 16 or 32 bits), not .q", SPEC, "40.q"],
    [
      "the width must be .b, .w or .l (8, 16 or 32 bits), not .memorySpaceEnable",
      SPEC,
      "COMMAND.memorySpaceEnable",
    ],
    ["only capabilities can be there several times", SPEC, "COMMAND@1"],
    ["after @, which goes last, comes the capability's number", SPEC, "CAP_VNDR@1.w"],
    ["+x must be a hexadecimal number", SPEC, "CAP_PM+x.w"],
    ["a register is NAME, NAME+OFFSET.WIDTH", SPEC, "CAP_PM+4.w.w"],
    ["--list takes no operations", SPEC, "COMMAND", "--list"],
    ['"foo" is not a device that can be opened', "foo", "COMMAND"],
    ["unknown option --width", SPEC, "40", "--width=8"],
  ];
  for (const [reason, ...args] of cases) {
    test(`"config ${args.join(" ")}" is refused with exit code 2 before the device is opened`, async () => {
      expect(await failure(2, ...args)).toContain(reason);
    });
  }
});

describe("on a device that notes each access", () => {
  async function serve() {
    const socket = folder.file(`noting-${++servers}`);
    const server = Bun.spawn([process.execPath, `${ROOT}/test/scripts/noting-device.ts`, socket], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let printed = "";
    void (async () => {
      for await (const chunk of server.stdout) printed += new TextDecoder().decode(chunk);
    })();
    await until(() => printed.includes("ready\n"), "the device to listen");
    return {
      spec: `vfio-user:${socket}`,
      /** Accesses to configuration space since it was last asked, without those of opening and closing. */
      accesses: async (...args: string[]) => {
        printed = "";
        const ended = await run(`vfio-user:${socket}`, ...args);
        await until(() => printed.endsWith("gone\n"), "the client to be gone");
        const lines = printed.split("\n").filter((line) => line.includes("config:"));
        return { ...ended, lines: lines.filter((line) => !/config:0x4 16( 0x[0-9a-f]+)?$/.test(line)) };
      },
      [Symbol.asyncDispose]: async () => {
        server.kill();
        await server.exited;
      },
    };
  }

  test("each operation is one access of its width; a mask reads first, and only --read-back reads after", async () => {
    await using device = await serve();
    const { lines, exitCode } = await device.accesses("40.b=1", "44.w=102:f0f", "48.l=1,2", "50.l", "3d.b");
    expect({ exitCode, lines }).toEqual({
      exitCode: 0,
      lines: [
        "write config:0x40 8 0x1",
        "read config:0x44 16",
        "write config:0x44 16 0x102",
        "write config:0x48 32 0x1",
        "write config:0x4c 32 0x2",
        "read config:0x50 32",
        "read config:0x3d 8",
      ],
    });
    expect((await device.accesses("48.l=3", "--read-back")).lines).toEqual([
      "write config:0x48 32 0x3",
      "read config:0x48 32",
    ]);
    expect((await device.accesses("48.l=7,8", "--dry-run")).lines).toEqual([
      "read config:0x48 32",
      "read config:0x4c 32",
    ]);
    expect(text((await device.accesses("48.l", "4c.l")).stdout)).toBe("48.l  0x00000003\n4c.l  0x00000002\n");
  });

  test("its space of 256 bytes ends there, and it says why", async () => {
    await using device = await serve();
    const { spec } = device;
    const why =
      "it has 0x100 bytes: the function is conventional PCI, or the way to it does not reach further (no ECAM); only PCI Express functions have 0x1000";
    expect(await failure(1, spec, "fc.l=1,2")).toContain(
      `fc.l: 0x103 is past the end of configuration space of ${spec}: ${why}`,
    );
    expect(await failure(1, spec, "ECAP_AER+4.l")).toContain(
      `${spec} has no ECAP_AER (Advanced Error Reporting); it has no capabilities; extended ones begin at 0x100, and ${why}`,
    );
  });

  test("that has gone away, it shows what it read, says so, and ends with exit code 5", async () => {
    await using device = await serve();
    const { spec } = device;
    expect((await startScript("poke.ts", spec, "0:0x38", "3").ended()).exitCode).toBe(5);
    const gone = `${spec}: its configuration space reads as all ones: it no longer answers`;
    const read = await run(spec, "VENDOR_ID", "40.b");
    expect([read.exitCode, text(read.stdout)]).toEqual([5, "VENDOR_ID  0xffff\n40.b       0xff\n"]);
    expect(read.stderr).toContain(gone);
    const written = await run(spec, "40.w=1", "--json");
    expect([written.exitCode, JSON.parse(text(written.stdout)).answers]).toEqual([5, false]);
    expect(await failure(5, spec, "CAP_PM+4.w")).toContain(gone);
    expect(await failure(5, spec, "PRIMARY_BUS")).toContain(gone);
  });
});
