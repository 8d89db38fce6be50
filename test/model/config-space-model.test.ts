import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ConfigSpaceModel } from "../../src/model/config-space-model.ts";
import { CONFIG_BYTES, Config } from "../../src/pci/config-offsets.ts";
import { RegionIndex } from "../../src/protocol/vfio.ts";
import { cardConfigSpace, modelConfigSpace } from "../vp9/endpoint-config.ts";
import { pack, type RawClient, type Server, startServer, tempFolder } from "./rig.ts";

let server: Server;
beforeAll(async () => {
  server = await startServer("--codec=null");
});
afterAll(() => server[Symbol.asyncDispose]());

const { CONFIG } = RegionIndex;
const PM = 0x80;
const MSI = 0x90;
const EXPRESS = 0xc0;
const AER = 0x100;

function connect(): RawClient {
  return server.connect().agree();
}

/** What lspci makes of a configuration space. */
function lspci(bytes: Uint8Array): string {
  if (!Bun.which("lspci")) throw new Error("these tests need lspci: apt-get install pciutils");
  using folder = tempFolder();
  const lines = Array.from({ length: CONFIG_BYTES / 16 }, (_, i) => {
    const row = [...bytes.subarray(i * 16, i * 16 + 16)];
    const hex = (value: number) => value.toString(16).padStart(2, "0");
    return `${hex(i * 16)}: ${row.map(hex).join(" ")}`;
  });
  const dump = join(folder.path, "dump");
  writeFileSync(dump, `00:09.0 Memory controller\n${lines.join("\n")}\n`);
  const { exitCode, stdout, stderr } = Bun.spawnSync(["lspci", "-F", dump, "-vvvn"], { stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`lspci ended with ${exitCode}: ${stderr}`);
  return stdout.toString();
}

/** The card of the story as lspci 3.9 spells it, ids as numbers since not every list of names has them; BARs have no address before firmware gave them one. */
const CARD = `
00:09.0 0580: 10ee:7022
	Subsystem: 10ee:0007
	Control: I/O- Mem- BusMaster- SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx-
	Status: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-
	Interrupt: pin A routed to IRQ 0
	Capabilities: [80] Power Management version 3
		Flags: PMEClk- DSI- D1- D2- AuxCurrent=0mA PME(D0-,D1-,D2-,D3hot-,D3cold-)
		Status: D0 NoSoftRst+ PME-Enable- DSel=0 DScale=0 PME-
	Capabilities: [90] MSI: Enable- Count=1/1 Maskable- 64bit+
		Address: 0000000000000000  Data: 0000
	Capabilities: [c0] Express (v2) Root Complex Integrated Endpoint, MSI 00
		DevCap:	MaxPayload 512 bytes, PhantFunc 0
			ExtTag- RBE+
		DevCtl:	CorrErr- NonFatalErr+ FatalErr+ UnsupReq+
			RlxdOrd+ ExtTag- PhantFunc- AuxPwr- NoSnoop+
			MaxPayload 256 bytes, MaxReadReq 512 bytes
		DevSta:	CorrErr- NonFatalErr- FatalErr- UnsupReq- AuxPwr- TransPend-
		DevCap2: Completion Timeout: Range B, TimeoutDis+ NROPrPrP- LTR-
			 10BitTagComp- 10BitTagReq- OBFF Not Supported, ExtFmt- EETLPPrefix-
		DevCtl2: Completion Timeout: 65ms to 210ms, TimeoutDis- LTR- 10BitTagReq- OBFF Disabled,
	Capabilities: [100 v2] Advanced Error Reporting
		UESta:	DLP- SDES- TLP- FCP- CmpltTO- CmpltAbrt- UnxCmplt- RxOF- MalfTLP- ECRC- UnsupReq- ACSViol-
		UEMsk:	DLP- SDES- TLP- FCP- CmpltTO- CmpltAbrt+ UnxCmplt+ RxOF- MalfTLP- ECRC- UnsupReq- ACSViol-
		UESvrt:	DLP+ SDES+ TLP+ FCP+ CmpltTO+ CmpltAbrt- UnxCmplt- RxOF+ MalfTLP+ ECRC- UnsupReq- ACSViol-
		CESta:	RxErr- BadTLP- BadDLLP- Rollover- Timeout- AdvNonFatalErr-
		CEMsk:	RxErr+ BadTLP+ BadDLLP+ Rollover+ Timeout+ AdvNonFatalErr+
		AERCap:	First Error Pointer: 00, ECRCGenCap- ECRCGenEn- ECRCChkCap- ECRCChkEn-
`
  .trim()
  .split("\n");

test("lspci shows the model at power-on as it shows the story's card", () => {
  using client = connect();
  const shown = lspci(client.read(CONFIG, 0, CONFIG_BYTES)).split("\n");
  for (const line of CARD) {
    // FLR is what the model offers beyond the card.
    expect(shown.map((text) => text.replace(/ FLReset[+-]$/, ""))).toContain(line);
  }
  expect(shown.filter((line) => line.includes("Capabilities: ["))).toHaveLength(4);
});

test("without function-level reset lspci shows the very lines of the card", async () => {
  const bytes = new Uint8Array(CONFIG_BYTES);
  (await cardConfigSpace()).read(0, bytes);
  const shown = lspci(bytes)
    .split("\n")
    .map((line) => line.replace(/ FLReset-$/, ""));
  for (const line of CARD) expect(shown).toContain(line);
  expect(shown.join()).not.toContain("FLReset+");
});

test("function-level reset is offered unless it is left out, and then asking for it does nothing", async () => {
  const initiate = (config: ConfigSpaceModel) => config.write(EXPRESS + 8, pack("2", 0xa83e));
  expect(initiate(await modelConfigSpace())).toBe(true);
  expect(initiate(await cardConfigSpace())).toBe(false);
  // Also where the bit's byte is written alone, and where it is part of a larger write.
  expect((await modelConfigSpace()).write(EXPRESS + 9, pack("1", 0x80))).toBe(true);
  expect((await modelConfigSpace()).write(EXPRESS + 4, pack("44", 0, 0x8000))).toBe(true);
  expect((await modelConfigSpace()).write(EXPRESS + 8, pack("1", 0xff))).toBe(false);
});

test("writing ones to the BARs tells 4 KiB of registers, 8 MiB of memory, and no others", () => {
  using client = connect();
  const ones = pack("444444", ...Array(6).fill(0xffff_ffff));
  expect(client.write(CONFIG, Config.BAR0, ones)).toBe(0);
  const sizes = Array.from({ length: 6 }, (_, i) => client.read32(CONFIG, Config.BAR0 + 4 * i));
  expect(sizes).toEqual([0xffff_f000, 0xff80_0000, 0, 0, 0, 0]);
  expect(client.write(CONFIG, 0x30, pack("4", 0xffff_f800))).toBe(0);
  expect(client.read32(CONFIG, 0x30)).toBe(0);
});

test("the chains of capabilities lead to power management, MSI, PCI Express and AER, and end", () => {
  using client = connect();
  const chain: [number, number][] = [];
  for (let at = client.read(CONFIG, Config.CAPABILITIES, 1)[0]!; at !== 0 && chain.length < 48; ) {
    const [id, next] = client.read(CONFIG, at, 2);
    chain.push([at, id!]);
    at = next!;
  }
  expect(chain).toEqual([
    [PM, 0x01],
    [MSI, 0x05],
    [EXPRESS, 0x10],
  ]);
  expect(client.read32(CONFIG, AER)).toBe(0x0002_0001);
});

test("all ones written everywhere change the writable bits, and nothing else", () => {
  using client = connect();
  const before = client.read(CONFIG, 0, CONFIG_BYTES);
  const ones = new Uint8Array(4).fill(0xff);
  // In words, as software would; but the one that would start a function-level reset.
  for (let at = 0; at < CONFIG_BYTES; at += 4)
    if (at !== EXPRESS + 8) expect(client.write(CONFIG, at, ones)).toBe(0);
  expect(client.write(CONFIG, EXPRESS + 8, pack("2", 0x7fff))).toBe(0);
  const after = client.read(CONFIG, 0, CONFIG_BYTES);
  const changed: Record<string, string> = {};
  for (let at = 0; at < CONFIG_BYTES; at += 4) {
    const word = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
    if (word(before) !== word(after)) changed[at.toString(16)] = word(after).toString(16).padStart(8, "0");
  }
  expect(changed).toEqual({
    // Memory, bus master, parity, SERR, INTx disable; status stays.
    4: "00100546",
    c: "000000ff",
    10: "fffff000",
    14: "ff800000",
    "3c": "000001ff",
    // Power state.
    84: "0000000b",
    // MSI enable, address, data.
    90: "0081c005",
    94: "fffffffc",
    98: "ffffffff",
    "9c": "0000ffff",
    c8: "000078ff",
    e8: "0000001f",
    // AER: masks and severity, of the bits that there are.
    108: "001ff030",
    "10c": "001ff030",
    114: "0000f1c1",
  });
});

test("MSI address, data and enable can be written and read back, in pieces too", () => {
  using client = connect();
  expect(client.write(CONFIG, MSI + 4, pack("44", 0xfee0_01f8, 0x1234_5678))).toBe(0);
  expect(client.write(CONFIG, MSI + 12, pack("2", 0x4021))).toBe(0);
  expect(client.write(CONFIG, MSI + 5, pack("1", 0x77))).toBe(0);
  expect(client.write(CONFIG, MSI + 2, pack("2", 0x0181))).toBe(0);
  expect(client.read32(CONFIG, MSI + 4)).toBe(0xfee0_77f8);
  expect(client.read32(CONFIG, MSI + 8)).toBe(0x1234_5678);
  expect([...client.read(CONFIG, MSI + 12, 2)]).toEqual([0x21, 0x40]);
  expect([...client.read(CONFIG, MSI + 2, 2)]).toEqual([0x81, 0x00]);
});

test("error bits are cleared by writing ones to them, and only those written", async () => {
  const config = await modelConfigSpace();
  const read = (offset: number) => {
    const bytes = new Uint8Array(4);
    config.read(offset, bytes);
    return new DataView(bytes.buffer).getUint32(0, true);
  };
  config.logUnsupportedRequest();
  expect(read(EXPRESS + 8) >>> 16).toBe(0b1010);
  expect(read(AER + 4)).toBe(1 << 20);
  expect(read(AER + 0x18)).toBe(20);
  config.write(EXPRESS + 10, pack("2", 0b1000));
  expect(read(EXPRESS + 8) >>> 16).toBe(0b0010);
  // A write of zeros, as part of DEVICE_CONTROL's word, clears nothing.
  config.write(EXPRESS + 8, pack("4", 0x283e));
  expect(read(EXPRESS + 8)).toBe(0x0002_283e);
  config.write(AER + 4, pack("4", ~(1 << 20) >>> 0));
  expect(read(AER + 4)).toBe(1 << 20);
  config.write(AER + 4, pack("4", 1 << 20));
  expect(read(AER + 4)).toBe(0);
});
