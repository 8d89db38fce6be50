/** info as a command: the story's card on the encoder's model, dumps, and the functions of this machine. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { CONFIG_BYTES } from "../../src/pci/config-offsets.ts";
import { tempFolder } from "../media/rig.ts";
import { cardConfigSpace } from "../vp9/endpoint-config.ts";
import { type Ended, ROOT, shell, startScript } from "./rig.ts";

setDefaultTimeout(60_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
const MODEL = "model:vp9?codec=null";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const run = (...args: string[]): Promise<Ended> => startScript("info.ts", ...args).ended();

async function output(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(...args);
  expect([exitCode, stderr]).toEqual([0, ""]);
  return text(stdout);
}

/** The card's capabilities as its owner's lspci printed them, which is older than the one here. */
const CARD = `
Capabilities: [80] Power Management version 3
Flags: PMEClk- DSI- D1- D2- AuxCurrent=0mA PME(D0-,D1-,D2-,D3hot-,D3cold-)
Status: D0 NoSoftRst+ PME-Enable- DSel=0 DScale=0 PME-
Capabilities: [90] MSI: Enable- Count=1/1 Maskable- 64bit+
Address: 0000000000000000 Data: 0000
Capabilities: [c0] Express (v2) Root Complex Integrated Endpoint, MSI 00
DevCap: MaxPayload 512 bytes, PhantFunc 0
ExtTag- RBE+
DevCtl: Report errors: Correctable- Non-Fatal+ Fatal+ Unsupported+
RlxdOrd+ ExtTag- PhantFunc- AuxPwr- NoSnoop+
MaxPayload 256 bytes, MaxReadReq 512 bytes
DevSta: CorrErr- UncorrErr- FatalErr- UnsuppReq- AuxPwr- TransPend-
DevCap2: Completion Timeout: Range B, TimeoutDis+, LTR-, OBFF Not Supported
DevCtl2: Completion Timeout: 65ms to 210ms, TimeoutDis-, LTR-, OBFF Disabled
Capabilities: [100 v2] Advanced Error Reporting
UESta: DLP- SDES- TLP- FCP- CmpltTO- CmpltAbrt- UnxCmplt- RxOF- MalfTLP- ECRC- UnsupReq- ACSViol-
UEMsk: DLP- SDES- TLP- FCP- CmpltTO- CmpltAbrt+ UnxCmplt+ RxOF- MalfTLP- ECRC- UnsupReq- ACSViol-
UESvrt: DLP+ SDES+ TLP+ FCP+ CmpltTO+ CmpltAbrt- UnxCmplt- RxOF+ MalfTLP+ ECRC- UnsupReq- ACSViol-
CESta: RxErr- BadTLP- BadDLLP- Rollover- Timeout- NonFatalErr-
CEMsk: RxErr+ BadTLP+ BadDLLP+ Rollover+ Timeout+ NonFatalErr+
AERCap: First Error Pointer: 00, GenCap- CGenEn- ChkCap- ChkEn-
`
  .trim()
  .split("\n");

/** Words that lspci has changed since, and the commas that it has dropped. */
const RENAMED: readonly (readonly [was: RegExp, is: string])[] = [
  [
    /Report errors: Correctable(.) Non-Fatal(.) Fatal(.) Unsupported(.)/,
    "CorrErr$1 NonFatalErr$2 FatalErr$3 UnsupReq$4",
  ],
  [/UncorrErr/, "NonFatalErr"],
  [/UnsuppReq/, "UnsupReq"],
  [/([+-]),(?= )/g, "$1"],
  [/ NonFatalErr([+-])$/, " AdvNonFatalErr$1"],
  [/MSI 00$/, "IntMsgNum 0"],
  [/GenCap(.) CGenEn(.) ChkCap(.) ChkEn/, "ECRCGenCap$1 ECRCGenEn$2 ECRCChkCap$3 ECRCChkEn"],
];

/** Words between white space and commas, in which every value stands. */
const wordsOf = (line: string) => line.split(/[\s,]+/).filter(Boolean);

describe("the story's card", () => {
  let shown = "";
  beforeAll(async () => {
    shown = await output(MODEL);
  });

  test("every value of its capabilities is in what info shows of the model", () => {
    // A register's text may go on in further lines, which have no label of their own.
    const lines = shown
      .replace(/\n\t{3} ?/g, " ")
      .split("\n")
      .map((line) => line.trim());
    const missing: string[] = [];
    let current: string[] = [];
    for (const old of CARD) {
      const line = RENAMED.reduce((line, [was, is]) => line.replace(was, is), old);
      const label = /^(Capabilities: \[\w+( v\d)?\]|[A-Za-z0-9]+:)/.exec(line)?.[0];
      // Two capabilities have a Status; lines without a label go on with the one before.
      const candidates = label ? lines.filter((each) => each.startsWith(label)) : [current.join(" ")];
      const fits = candidates.find((each) => wordsOf(line).every((word) => wordsOf(each).includes(word)));
      if (!fits) missing.push(line);
      current = fits ? [fits] : current;
    }
    expect(missing).toEqual([]);
  });

  test("its identity, regions and interrupt are shown, with memory decode and bus master on as for any open device", () => {
    expect(shown.split("\n").slice(0, 8)).toEqual([
      expect.stringMatching(/^model:vp9\?codec=null (Memory controller|Class 0580): /),
      expect.stringMatching(/^\tSubsystem: .*0007$/),
      "\tControl: I/O- Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx-",
      "\tStatus: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-",
      "\tLatency: 0",
      "\tInterrupt: pin A routed to IRQ 0",
      "\tRegion 0: Memory at <unassigned> (32-bit, non-prefetchable) [size=4K]",
      "\tRegion 1: Memory at <unassigned> (32-bit, non-prefetchable) [size=8M]",
    ]);
  });

  test("as raw bytes in its power-on state, both its spaces are disabled", async () => {
    const bytes = new Uint8Array(CONFIG_BYTES);
    (await cardConfigSpace()).read(0, bytes);
    writeFileSync(folder.file("card"), bytes);
    const lines = (await output("--file", folder.file("card"))).split("\n");
    expect(lines[2]).toBe(
      "\tControl: I/O- Mem- BusMaster- SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx-",
    );
    expect(lines).toContain("\t\t\tExtTag- RBE+ FLReset- TEE-IO-");
  });

  test("--json has the registers' fields by the specification's names, and no text for people", async () => {
    const printed = await output(MODEL, "--json");
    expect(printed.trim().split("\n")).toHaveLength(1);
    const object = JSON.parse(printed);
    expect(object).toMatchObject({
      address: MODEL,
      class: "0x058000",
      vendor: "0x10ee",
      device: "0x7022",
      subsystemVendor: "0x10ee",
      subsystem: "0x0007",
      revision: "0x00",
      bridge: false,
      interruptPin: "A",
      driver: null,
      iommuGroup: null,
      configBytes: 4096,
      regions: [
        { index: 0, sizeBytes: 4096, enabled: true, address: null },
        { index: 1, sizeBytes: 8 << 20 },
      ],
    });
    const named = object.capabilities.map(({ name, offset }: { name: string; offset: number }) => [
      name,
      offset,
    ]);
    expect(named).toEqual([
      ["Power Management", 0x80],
      ["MSI", 0x90],
      ["Express", 0xc0],
      ["Advanced Error Reporting", 0x100],
    ]);
    expect(object.capabilities[1].registers[0]).toEqual({
      name: "messageControl",
      offset: 0x92,
      sizeBytes: 2,
      value: 0x0080,
      fields: {
        msiEnable: false,
        multipleMessageEnable: 1,
        multipleMessageCapable: 1,
        perVectorMaskingCapable: false,
        address64BitCapable: true,
      },
    });
    expect(printed).not.toContain('"lines"');
  });
});

const recorded = (name: string) => `${ROOT}/test/pci/lspci-3.15/${name}`;

describe("dumps", () => {
  const dump = `${ROOT}/test/pci/dumps/qemu-switch.txt`;

  test("--file shows all functions of a dump, and --file - those on standard input", async () => {
    const shown = await output("--file", dump);
    expect(shown.split("\n\n")).toHaveLength(14);
    expect(shown).toContain("\tBus: primary=00, secondary=01, subordinate=06, sec-latency=0");
    const { exitCode, stdout } = await shell(`cat "$1" | bun run info.ts --file -`, dump);
    expect([exitCode, text(stdout)]).toEqual([0, shown]);
  });

  test("--json of a dump is an array, in the dump's order", async () => {
    const objects = JSON.parse(await output("--file", dump, "--json")) as { address: string }[];
    expect(objects.map(({ address }) => address)).toEqual(
      [...readFileSync(dump, "latin1").matchAll(/^(\S+\.\d) /gm)].map((match) => match[1]!),
    );
  });

  test("an address shows one function of a dump, with or without the domain; --json is an object then", async () => {
    const all = (await output("--file", recorded("ht.txt"))).trimEnd().split("\n\n");
    expect(all).toHaveLength(2);
    for (const address of ["01:00.0", "0000:01:00.0"])
      expect((await output(address, "--file", recorded("ht.txt"))).trimEnd()).toBe(all[1]!);
    const object = JSON.parse(await output("01:00.0", "--file", recorded("ht.txt"), "--json"));
    expect([object.address, object.answers]).toEqual(["01:00.0", true]);
  });

  test("a dump of all ones says that the function does not answer, and nothing else of it", async () => {
    const ones = `0c:00.0 Processing accelerators: X\n${[0, 16, 32, 48].map((at) => `${at.toString(16).padStart(2, "0")}:${" ff".repeat(16)}`).join("\n")}\n`;
    writeFileSync(folder.file("ones"), ones);
    const [title, ...rest] = (await output("--file", folder.file("ones"))).trimEnd().split("\n");
    expect(title).toStartWith("0c:00.0 ");
    expect(rest).toEqual([
      "\t!!! It does not answer: its configuration space reads as all ones (link down, powered off, or being programmed)",
    ]);
    const [object] = JSON.parse(await output("--file", folder.file("ones"), "--json"));
    expect(object).toMatchObject({
      answers: false,
      interruptPin: null,
      registers: [],
      regions: [],
      capabilities: [],
    });
    expect(object).not.toHaveProperty("bist");
  });

  test("--json has virtio's shared memory with 64 bits, and a CardBus bridge's windows", async () => {
    const [virtio] = JSON.parse(await output("--file", recorded("virtio-shm64.txt"), "--json"));
    expect(virtio.capabilities.at(-1).registers[1].fields).toEqual({
      bar: 2,
      offset: "0x0000000200000000",
      length: "0x0000000140000000",
      id: 7,
    });
    const [cardBus] = JSON.parse(await output("--file", recorded("cardbus.txt"), "--json"));
    expect(cardBus).toMatchObject({ headerType: 2, subsystemVendor: "0x10cf", subsystem: "0x143d" });
    const window = (kind: string, base: string, limit: string, addressBits: number) => ({
      kind,
      base,
      limit,
      addressBits,
      enabled: true,
    });
    expect(cardBus.buses).toEqual({
      primaryBus: 0x1c,
      secondaryBus: 0x1d,
      subordinateBus: 0x20,
      secondaryLatencyTimer: 176,
      windows: [
        window("prefetchable", "0xc0000000", "0xc3ffffff", 32),
        window("memory", "0xc8000000", "0xcbffffff", 32),
        window("io", "0x00003000", "0x000030ff", 32),
        window("io", "0x00003400", "0x000034ff", 32),
      ],
      legacyModeBase: 1,
    });
  });
});

test("without arguments all functions of this machine are shown, their headers as lspci shows them", async () => {
  const { exitCode, stdout } = await run();
  expect(exitCode).toBe(0);
  const theirs = await shell("lspci -Dvvv 2>/dev/null");
  const header =
    /^(\w+:\w+:\w+\.\d |\t(Subsystem|Control|Status|Latency|Interrupt|NUMA node|IOMMU group|Region \d|Bus|Kernel driver in use):)/;
  const lines = (of: Uint8Array) =>
    text(of)
      .split("\n")
      .filter((line) => header.test(line));
  expect(lines(stdout)).toEqual(lines(theirs.stdout));
});

test("--json says what list --json says of the same functions, by the same names", async () => {
  const parse = (ended: Ended) => JSON.parse(text(ended.stdout)) as Record<string, unknown>[];
  const theirs = parse(await startScript("list.ts", "--json").ended());
  const ours = parse(await run("--json"));
  const { driverOverride, physicalFunction, names, ...common } = theirs[0] ?? {};
  for (const [i, of] of theirs.entries())
    for (const key of Object.keys(common)) expect([key, ours[i]![key]]).toEqual([key, of[key]]);
});

describe("what goes wrong", () => {
  const failure = async (code: number, ...args: string[]) => {
    const { exitCode, stdout, stderr } = await run(...args);
    expect([exitCode, text(stdout)]).toEqual([code, ""]);
    expect(stderr).not.toContain("    at ");
    return stderr;
  };

  test("a function that is not there is said to be so, and how to find others", async () => {
    expect(await failure(1, "fffe:00:00.0")).toContain(
      "there is no PCI function fffe:00:00.0; bun run list.ts",
    );
  });

  test("a word that names no device is refused with what there is", async () => {
    expect(await failure(2, "nonsense")).toContain(
      '"nonsense" is not a device that can be opened; use an address',
    );
  });

  test("a file that is absent, or no configuration space, is named", async () => {
    expect(await failure(1, "--file", folder.file("absent"))).toContain(
      `can't read ${folder.file("absent")}: ENOENT`,
    );
    writeFileSync(folder.file("text"), "hello");
    expect(await failure(1, "--file", folder.file("text"))).toContain("no configuration space in it");
  });

  test("--json says it on standard output, too", async () => {
    const { exitCode, stdout, stderr } = await run("fffe:00:00.0", "--json");
    const { error, ...rest } = JSON.parse(text(stdout));
    expect([exitCode, rest]).toEqual([1, {}]);
    expect(error).toStartWith("there is no PCI function fffe:00:00.0");
    expect(stderr).toContain(error);
  });

  test("an address that a dump does not have is named, with those that it has; a word is no address", async () => {
    const dump = recorded("ht.txt");
    expect(await failure(1, "00:19.0", "--file", dump)).toContain(
      `there is no function 00:19.0 in ${dump}; it has 00:00.0, 01:00.0`,
    );
    expect(await failure(2, "model:vp9", "--file", dump)).toContain(
      `"model:vp9" is not the address of a function in ${dump}; an address looks like 0000:00:09.0`,
    );
  });
});
