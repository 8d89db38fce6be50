/** What lspci does not decode, or reads wrongly, worked out by hand: the golden test leaves these words out. */
import { expect, describe as group, test } from "bun:test";
import { CONFIG_BYTES, Config, Status } from "../../src/pci/config-offsets.ts";
import { decodeConfig } from "../../src/pci/decode/decode.ts";
import { describe } from "../../src/pci/decode/describe.ts";
import { openNames } from "../../src/pci/decode/names.ts";

/** A function with this capability at 0x40 and this extended one; bytes and words from their start. */
function shown(standard: readonly number[], extended: readonly number[] = []): string {
  const bytes = new Uint8Array(CONFIG_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(Config.VENDOR_ID, 0x8086, true);
  view.setUint16(Config.STATUS, Status.CAPABILITIES, true);
  bytes[Config.CAPABILITIES] = 0x40;
  for (const [i, word] of standard.entries()) view.setUint32(0x40 + 4 * i, word, true);
  for (const [i, word] of extended.entries()) view.setUint32(0x100 + 4 * i, word, true);
  return describe(decodeConfig(bytes), openNames([]));
}

const EXPRESS = 0x0002_0010;

group("the link's speed has the number of its bit in the vector of speeds: PCIe 7.0, 7.5.3.6", () => {
  // Link capabilities, control and status, capabilities 2, control and status 2.
  const link = (code: number, vector: number, flit: number) =>
    shown([
      EXPRESS | (flit << 31),
      0,
      0,
      code | 0x10,
      ((code | 0x10) << 16) | (flit << 13),
      ...Array<number>(6).fill(0),
      vector,
      code | (flit << 26),
    ]);

  test("code 7 is 128 GT/s, wherever a speed stands, and flit mode is told", () => {
    const text = link(7, 0xfe, 1);
    for (const words of [
      "LnkCap: Port #0, Speed 128GT/s, Width x1",
      "LnkSta: Speed 128GT/s, Width x1",
      "Supported Link Speeds: 2.5-128GT/s",
      "Target Link Speed: 128GT/s",
      "IntMsgNum 0, FLIT Mode Supported",
      "FltModeDis+",
      "FltMode+",
    ])
      expect(text).toContain(words);
  });

  test("code 6 is 64 GT/s, and code 8 none that is known", () => {
    expect(link(6, 0x7e, 0)).toContain("LnkCap: Port #0, Speed 64GT/s");
    expect(link(6, 0x7e, 0)).toContain("FltMode-");
    expect(link(8, 0x7e, 0)).toContain("LnkCap: Port #0, Speed unknown");
    expect(link(8, 0x7e, 0)).toContain("Target Link Speed: Unknown");
  });
});

test("pins are A to D, and any other number is ?", () => {
  const pin = (number: number) => {
    const bytes = new Uint8Array(64);
    bytes[Config.INTERRUPT_PIN] = number;
    bytes[Config.INTERRUPT_LINE] = 11;
    const decoded = decodeConfig(bytes);
    return [decoded.interruptPin, describe(decoded, openNames([])).split("Interrupt: ")[1]];
  };
  expect([1, 2, 3, 4].map((number) => pin(number)[0])).toEqual(["A", "B", "C", "D"]);
  for (const number of [5, 0x20, 0xff]) expect(pin(number)).toEqual(["?", "pin ? routed to IRQ 11"]);
  expect(pin(0)).toEqual([null, "pin ? routed to IRQ 11"]);
});

test("HyperTransport's frequencies have 16 bits: 1.4 and 1.6 GHz are in the upper ones", () => {
  const secondary = [0x2000_0008, 0, 0x8300_0022];
  expect(shown(secondary)).toContain("1.2GHz- 1.4GHz+ 1.6GHz+ Vend+");
});

test("CXL's control 2 and capability 3 have a bit each: CXL 3.0, 8.1.3.5 and 8.1.3.11", () => {
  const words = [
    0x0001_0023,
    (0x3c << 20) | (2 << 16) | 0x1e98,
    0,
    0,
    0x0000_0010,
    ...Array<number>(9).fill(0),
    0x0000_000c,
  ];
  const text = shown([EXPRESS], words);
  expect(text).toContain(
    "CXLCtl2: DisableCaching- InitCacheWB&Inval- InitRst- RstMemClrEn- DesiredVolatileHDMStateAfterHotReset+",
  );
  expect(text).toContain("ColdReset- WarmReset- HotReset+ HotResetConfigurability+");
  expect(shown([EXPRESS], words.with(4, 0x0000_0004))).toContain("InitRst+ RstMemClrEn- DesiredVolatile");
  expect(shown([EXPRESS], words.with(4, 0x0000_0008))).toContain("InitRst- RstMemClrEn+ DesiredVolatile");
});

test("a flit error counter's interrupt is bit 3 of its status, above the width: PCIe 6.0, 7.7.8", () => {
  const text = (status: number) =>
    shown([EXPRESS], [0x0001_0032, 0, 0, status << 16, ...Array<number>(11).fill(0)]);
  expect(text(0x4)).toContain("Error Counter Started x16");
  expect(text(0x4)).toContain("Trigger Event Count-, FlitErr: 0");
  expect(text(0x508)).toContain("Error Counter Started x1\n");
  expect(text(0x508)).toContain("Trigger Event Count+, FlitErr: 5");
});

test("Intel's memory frequencies have four bits each", () => {
  const text = shown([0x0110_0009, 0, 0, (8 << 23) | (9 << 17) | 3]);
  expect(text).toContain("DDR4MaxFreq=2132MHz LPDDREn- LPDDR4MaxFreq=2399MHz");
  expect(text).toContain("Gear1MaxFreq=799MHz");
});

/** A function with this extended capability, and Express, which has the list looked at. */
function withExtended(id: number): Uint8Array {
  const bytes = new Uint8Array(CONFIG_BYTES);
  const view = new DataView(bytes.buffer);
  bytes[Config.STATUS] = Status.CAPABILITIES;
  bytes[Config.CAPABILITIES] = 0x40;
  view.setUint32(0x40, EXPRESS, true);
  view.setUint32(0x100, 0x0001_0000 | id, true);
  return bytes;
}

/** Extended capabilities, by the words that follow their header. */
const BY_HAND: readonly (readonly [
  name: string,
  id: number,
  words: readonly number[],
  lines: readonly string[],
])[] = [
  [
    "Power Budgeting (7.8.1): 250 x 0.1 W, D3, PME Aux, 3.3 V, allocated by the system",
    0x04,
    [0, 0x0004_6000 | (1 << 8) | 250, 1],
    ["PwrData: Base=250 Scale=0.1 PMSub=0 PM=D3 Type=PME Aux Rail=3.3V", "PwrCap: SystemAllocated+"],
  ],
  [
    "Power Budgeting: maximum, thermal",
    0x04,
    [0, (7 << 15) | (7 << 18) | (5 << 10) | 1, 0],
    ["PwrData: Base=1 Scale=1 PMSub=5 PM=D0 Type=Maximum Rail=Thermal", "PwrCap: SystemAllocated-"],
  ],
  [
    "Dynamic Power Allocation (7.9.12): 18 substates, units of 10 ms, scale 0.1",
    0x16,
    [0x4020_2111, 0, 0x0003_0102],
    [
      "DpaCap: SubstateMax=17 TransLatUnit=10ms PwrAllocScale=0.1 TransLat0=32 TransLat1=64",
      "DpaSta: Substate=2 CtlEnabled+",
      "DpaCtl: Substate=3",
    ],
  ],
  [
    "Readiness Time Reporting (7.9.16)",
    0x22,
    [0x8000_0000 | (0x0ab << 12) | 0x123, (0x456 << 12) | 0x789],
    ["RTR1: Reset=123 DLUp=0ab Valid+", "RTR2: FLR=789 D3hotToD0=456"],
  ],
  [
    "Data Link Feature (7.7.4): scaled flow control here and there",
    0x25,
    [0x8000_0001, 0x8000_0003],
    [
      "DLFCap: LocalFeatures=000001 LocalScaledFC+ ExchangeEn+",
      "DLFSta: RemoteFeatures=000003 RemoteScaledFC+ RemoteValid+",
    ],
  ],
  [
    "Physical Layer 16.0 GT/s (7.7.5): equalized, no parity mismatch but on lane 2 of the second retimer",
    0x26,
    [0, 0, 0x0f, 0, 0, 4],
    [
      "Phy16Sta: EquComplete+ EquPhase1+ EquPhase2+ EquPhase3+ LinkEquRequest-",
      "SecondRetimerParityMismatch: 00000004",
    ],
  ],
  [
    "Physical Layer 32.0 GT/s (7.7.6)",
    0x2a,
    [0x0000_0501, 0x0000_0202, 0x0000_0551],
    [
      "Phy32Cap: EqualizationBypass+ NoEqualizationNeeded-",
      "ModTsMode0+ ModTsMode1- ModTsMode2+",
      "Phy32Ctl: EqualizationBypassDis- NoEqualizationNeededDis+",
      "Modified TS Usage Mode: Alternate Protocol Negotiation",
      "Phy32Sta: EquComplete+ EquPhase1- EquPhase2- EquPhase3- LinkEquRequest+",
      "Received Enhanced Link Behavior Control: Equalization bypass to highest rate support",
      "ModTsRecv- TxPrecodeOn+ TxPrecodeReq- NoEqualizationNeededRecv+",
    ],
  ],
  [
    "Physical Layer 64.0 GT/s (7.7.7)",
    0x31,
    [0, 0, 0x0000_00a1],
    [
      "Phy64Sta: EquComplete+ EquPhase1- EquPhase2- EquPhase3- LinkEquRequest-",
      "TxPrecodeOn+ TxPrecodeReq- NoEqualizationNeededRecv+",
    ],
  ],
  [
    "Lane Margining at the Receiver (7.7.10)",
    0x27,
    [0x0002_0001],
    ["PortCap: Uses Driver+", "PortSta: MargReady- MargSoftReady+"],
  ],
  [
    "Latency Tolerance Reporting (7.8.2): scales 6 and 7 are not permitted",
    0x18,
    [0x1c01_1803],
    ["Max snoop latency: <error>", "Max no snoop latency: <error>"],
  ],
  [
    "Root Complex Event Collector (7.9.10): devices 0 and 29 to 31",
    0x07,
    [0xe000_0001],
    ["RCiEPBitmap: RCiEP at Device(s): 0, 29-31"],
  ],
  [
    "Data Object Exchange (7.9.24): the error is bit 2",
    0x2e,
    [0, 0x8000_0001, 0x0000_0004],
    ["DOECap: IntSup-", "DOECtl: IntEn- Abort+ Go+", "DOESta: Busy- IntSta- Error+ ObjectReady-"],
  ],
  [
    "Page Request Interface (10.5.2): PASID required in responses",
    0x13,
    [0x8000_0000, 0, 0],
    [
      "PRICtl: Enable- Reset-",
      "PRISta: RF- UPRGI- Stopped- PASID+",
      "Page Request Capacity: 00000000, Page Request Allocation: 00000000",
    ],
  ],
  [
    "Designated Vendor-Specific: CXL port, its initialization complete (CXL 3.0, 8.1.5)",
    0x23,
    [(0x28 << 20) | 0x1e98, 0x0001_0003, 0x0000_0001, 0, 0, 0, 0, 0, 0],
    [
      "CXL Extensions DVSEC for Ports",
      "CXLPortSta: PMComplete+",
      "CXLPortCtl: UnmaskSBR+ UnmaskLinkDisable- AltMem- AltBME- ViralEnable-",
      "AlternateBus: 00-00",
      "AlternateBus: 0000-0000",
    ],
  ],
  [
    "Designated Vendor-Specific: CXL persistent flush in 40 s and 500 us (CXL 3.0, 8.1.6)",
    0x23,
    [(0x10 << 20) | 0x1e98, 0x0000_0004, 0x0205_0704],
    ["GPF DVSEC for CXL Ports", "GPF Phase 1 Timeout: 40s", "GPF Phase 2 Timeout: 500us"],
  ],
  [
    "Designated Vendor-Specific: CXL flex bus, all of whose 16 bytes are there (CXL 3.0, 8.1.8)",
    0x23,
    [(0x10 << 20) | 0x1e98, 0x0003_0007, 0x0001_0002],
    [
      "PCIe DVSEC for Flex Bus Port",
      "FBCap: Cache+ IO+ Mem- 68BFlit- MltLogDev-",
      "FBCtl: Cache- IO+ Mem- SynHdrByp- DrftBuf- 68BFlit- MltLogDev- RCD- Retimer1- Retimer2-",
      "FBSta: Cache+ IO- Mem- SynHdrByp- DrftBuf- 68BFlit- MltLogDev-",
    ],
  ],
  [
    "Integrity & Data Encryption (7.9.26): a link stream with PCRC, a range of one selective stream",
    0x30,
    [3, 0, 0x0700_0500, 2, 1, 0x0100_0001, 2, 0x0002_0100, 0x0100_0101, 0xfff0_0101, 1, 2],
    [
      "IDECap: Lnk=1 Sel=1 FlowThru- PartHdr- Aggr- PCPC- IDE_KM- SelCfg- Alg='AES-GCM-256-96b' TCs=1 TeeLim- XT-",
      "IDECtl: FTEn-",
      "[10c]LinkIDE#0 Ctl: En- XT- NPR- PR- CPL- PCRC+ HdrEnc=17:2 Alg='AES-GCM-256-96b' TC0 ID7",
      "[110]LinkIDE#0 Sta: Status=secure RecvChkFail-",
      "[114]SelectiveIDE#0 Cap: RID#=1",
      "[118]SelectiveIDE#0 Ctl: En+ XT- NPR- PR- CPL- PCRC- CFG- HdrEnc=no Alg='AES-GCM-256-96b' TC0 TeeLim- ID1",
      "[11c]SelectiveIDE#0 Sta: secure RecvChkFail-",
      "[120]SelectiveIDE#0 RID: Valid+ Base=1 Limit=201 SegBase=1",
      "[128]SelectiveIDE#0 RID#0: Valid+ Base=200100000 Limit=1ffffffff",
    ],
  ],
];

test("errors that few devices have are shown, each by its own bit", () => {
  const NAMES: readonly (readonly [offset: number, bit: number, word: string])[] = [
    [0x04, 22, "UncorrIntErr"],
    [0x04, 23, "BlockedTLP"],
    [0x04, 24, "AtomicOpBlocked"],
    [0x04, 25, "TLPBlockedErr"],
    [0x04, 26, "PoisonTLPBlocked"],
    [0x04, 27, "DMWrReqBlocked"],
    [0x04, 28, "IDECheck"],
    [0x04, 29, "MisIDETLP"],
    [0x04, 30, "PCRC_CHECK"],
    [0x04, 31, "TLPXlatBlocked"],
    [0x10, 14, "CorrIntErr"],
    [0x10, 15, "HeaderOF"],
  ];
  const shown = (offset: number, bit: number) => {
    const bytes = withExtended(1);
    new DataView(bytes.buffer).setUint32(0x100 + offset, 2 ** bit, true);
    const lines = decodeConfig(bytes).capabilities[1]!.lines.join(" ");
    return lines.split(/\s+/).filter((word) => word.endsWith("+"));
  };
  for (const [offset, bit, word] of NAMES) expect(shown(offset, bit)).toEqual([`${word}+`]);
});

for (const [name, id, words, lines] of BY_HAND) {
  test(`by hand: ${name}`, () => {
    const bytes = withExtended(id);
    const view = new DataView(bytes.buffer);
    for (const [i, word] of words.entries()) view.setUint32(0x104 + 4 * i, word, true);
    const [title, ...shown] = decodeConfig(bytes).capabilities[1]!.lines.map((line) => line.trim());
    expect(title).toContain(name.split(" (")[0]!.split(":")[0]!);
    expect(shown).toEqual([...lines]);
  });
}
