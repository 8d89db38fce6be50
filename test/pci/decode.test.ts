import { expect, describe as group, test } from "bun:test";
import { endpointConfigSpace } from "../../src/model/vp9/config.ts";
import { CONFIG_BYTES, Config, Status } from "../../src/pci/config.ts";
import type { CapabilityLayout } from "../../src/pci/decode/capabilities/capability.ts";
import { scopeAt } from "../../src/pci/decode/capabilities/scope.ts";
import { extendedCapabilities, standardCapabilities } from "../../src/pci/decode/capabilities/table.ts";
import { decodeConfig } from "../../src/pci/decode/decode.ts";
import { describe } from "../../src/pci/decode/describe.ts";
import { openNames } from "../../src/pci/decode/names.ts";
import { randomNumbers } from "./synthetic.ts";

const noNames = openNames([]);

/** A header with a list of capabilities, all else 0. */
function space(sizeBytes: number, ...set: (readonly [offset: number, ...bytes: number[]])[]): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  bytes[Config.STATUS] = Status.CAPABILITIES;
  for (const [offset, ...values] of set) bytes.set(values, offset);
  return bytes;
}

/** Each capability as "offset: its problem, or its name". */
function listed(bytes: Uint8Array): string[] {
  return decodeConfig(bytes).capabilities.map(
    ({ offset, name, problem }) => `${offset.toString(16)}: ${problem ?? name}`,
  );
}

function model(functionLevelReset = true): Uint8Array {
  const bytes = new Uint8Array(CONFIG_BYTES);
  endpointConfigSpace(functionLevelReset).read(0, bytes);
  return bytes;
}

group("lists that lead astray", () => {
  test("a list that comes around again ends there", () => {
    const bytes = space(256, [0x34, 0x40], [0x40, 0x01, 0x50], [0x50, 0x05, 0x40]);
    expect(listed(bytes)).toEqual(["40: Power Management", "50: MSI", "40: chain looped"]);
    expect(describe(decodeConfig(bytes), noNames)).toContain("\tCapabilities: [40] <chain looped>");
  });

  test("a pointer into the header ends the list", () => {
    expect(listed(space(256, [0x34, 0x40], [0x40, 0x01, 0x30]))).toEqual([
      "40: Power Management",
      "30: points into the header",
    ]);
  });

  test("an id of all ones ends the list: nobody answers there", () => {
    expect(listed(space(256, [0x34, 0x40], [0x40, 0xff, 0xff]))).toEqual(["40: chain broken"]);
  });

  test("a pointer's two low bits do not count", () => {
    expect(listed(space(256, [0x34, 0x43], [0x40, 0x01]))).toEqual(["40: Power Management"]);
  });

  test("without the status bit there is no list, whatever the pointer says", () => {
    const bytes = space(256, [0x34, 0x40], [0x40, 0x01]);
    bytes[Config.STATUS] = 0;
    expect(listed(bytes)).toEqual([]);
  });

  test("the 64 bytes that anyone may read show the header, and where the rest would be", () => {
    const decoded = decodeConfig(model().subarray(0, 64));
    expect(decoded).toMatchObject({ vendorId: 0x10ee, classCode: 0x058000, configBytes: 64 });
    expect(listed(model().subarray(0, 64))).toEqual(["80: not readable"]);
  });

  test("256 bytes show the standard capabilities and no extended ones", () => {
    expect(listed(model().subarray(0, 256))).toEqual(["80: Power Management", "90: MSI", "c0: Express"]);
  });

  test("the extended list is not looked for where neither PCI Express nor PCI-X has one", () => {
    const bytes = space(CONFIG_BYTES, [0x34, 0x40], [0x40, 0x01], [0x100, 0x01, 0x00, 0x01, 0x00]);
    expect(listed(bytes)).toEqual(["40: Power Management"]);
    bytes[0x40] = 0x10;
    expect(listed(bytes)).toEqual(["40: Express", "100: Advanced Error Reporting"]);
  });

  test("an extended list that loops, or points below 0x100, ends there", () => {
    const express = [0x40, 0x10, 0x00, 0x02, 0x00] as const;
    const loop = space(CONFIG_BYTES, [0x34, 0x40], express, [0x100, 0x03, 0, 0x01, 0x10]);
    expect(listed(loop)).toEqual(["40: Express", "100: Device Serial Number", "100: chain looped"]);
    const below = space(CONFIG_BYTES, [0x34, 0x40], express, [0x100, 0x03, 0, 0x01, 0x04]);
    expect(listed(below).at(-1)).toBe("40: points out of the extended space");
  });

  test("registers that lie beyond the bytes at hand are left out", () => {
    const decoded = decodeConfig(space(256, [0x34, 0xf8], [0xf8, 0x05, 0x00, 0x80, 0x01]));
    expect(decoded.capabilities[0]!.registers.map(({ name }) => name)).toEqual(["messageControl"]);
  });

  test("a capability that nothing here knows shows its id and its bytes, up to the next one", () => {
    const bytes = space(256, [0x34, 0x40], [0x40, 0x42, 0x50, 1, 2, 3, 4, 5, 6, 7], [0x50, 0x01]);
    expect(decodeConfig(bytes).capabilities[0]).toMatchObject({
      id: 0x42,
      bytes: "425001020304050607000000",
    });
    expect(describe(decodeConfig(bytes), noNames)).toContain(
      "\tCapabilities: [40] Capability ID 0x42 [0201]\n\t\t40: 42 50 01 02 03 04 05 06 07 00 00 00\n",
    );
  });

  test("fewer than 64 bytes are refused", () => {
    expect(() => decodeConfig(new Uint8Array(63))).toThrow(RangeError);
  });
});

test("3000 spaces of random bytes and sizes are decoded without a throw, and 4096 ones and zeros, too", () => {
  const random = randomNumbers(7);
  const spaces = Array.from({ length: 3000 }, (_, i) => {
    const bytes = new Uint8Array([64, 256, 4096, 300, 1024][i % 5]!);
    for (let at = 0; at < bytes.byteLength; at++) bytes[at] = random();
    bytes[Config.STATUS]! |= Status.CAPABILITIES;
    bytes[Config.HEADER_TYPE] = random() % 4;
    // Short lists of capabilities that exist are what leads deepest.
    for (let at = 0x40; at + 4 <= Math.min(256, bytes.byteLength); at += 4) bytes[at] = random() % 0x16;
    for (let at = 0x100; at + 4 <= bytes.byteLength; at += 4) bytes.set([random() % 0x34, 0], at);
    return bytes;
  });
  for (const bytes of [...spaces, new Uint8Array(4096), new Uint8Array(4096).fill(0xff)]) {
    const decoded = decodeConfig(bytes);
    expect(describe(decoded, noNames).length).toBeGreaterThan(100);
    expect(() => JSON.stringify(decoded)).not.toThrow();
  }
}, 60_000);

test("every field of every capability lies inside its register, and shows its value at most once", () => {
  const facts = { vendor: 0x1af4, device: 0x1041, headerType: 1, portType: 4, hasMemoryBar: true };
  const fills = [0x00, 0x01, 0xff, 0x5a].map((byte) => new Uint8Array(4096).fill(byte));
  let count = 0;
  const check = (layout: CapabilityLayout) => {
    for (const fill of fills) {
      const scope = scopeAt(fill, 0x100, facts);
      const { heading, registers = [] } = layout;
      const first = typeof heading === "function" ? heading(scope) : heading;
      const rest = typeof registers === "function" ? registers(scope) : registers;
      for (const { name, sizeBytes, fields } of first ? [first, ...rest] : rest) {
        for (const [key, { bits, text }] of Object.entries(fields)) {
          const [low, high] = bits;
          const shown = typeof text === "string" ? text : text(scope);
          const fits = 0 <= low && low <= high && high < sizeBytes * 8 && shown.split("{}").length <= 2;
          if (!fits) throw new Error(`${layout.title} ${name}.${key}: bits ${low} to ${high}, "${shown}"`);
          count++;
        }
      }
    }
  };
  for (const layout of [...Object.values(standardCapabilities), ...Object.values(extendedCapabilities)])
    check(layout);
  expect(count).toBeGreaterThan(1500);
});

group("the structured form", () => {
  const decoded = decodeConfig(model(), [{ sizeBytes: 4096 }, { sizeBytes: 8 << 20 }]);
  const fieldsOf = (id: number, register: string) =>
    decoded.capabilities
      .find((capability) => capability.id === id)
      ?.registers.find(({ name }) => name === register);

  test("names fields as the specification does; numbers are numbers, flags booleans, choices names", () => {
    expect(fieldsOf(0x10, "deviceControl")).toMatchObject({
      offset: 0xc8,
      sizeBytes: 2,
      value: 0x283e,
      fields: {
        correctableErrorReportingEnable: false,
        nonFatalErrorReportingEnable: true,
        enableNoSnoop: true,
        maxPayloadSizeBytes: 256,
        maxReadRequestSizeBytes: 512,
      },
    });
    expect(fieldsOf(0x10, "deviceControl2")?.fields.completionTimeoutValue).toBe("65ms to 210ms");
    expect(fieldsOf(0x01, "uncorrectableErrorMask")).toBeUndefined();
  });

  test("gives 64-bit values as hexadecimal text", () => {
    expect(fieldsOf(0x05, "messageAddress")).toMatchObject({
      sizeBytes: 8,
      value: "0x0000000000000000",
      fields: { address: "0x0000000000000000", data: 0 },
    });
  });

  test("has regions with the sizes that were known, and no address for those without one", () => {
    expect(decoded.regions).toEqual([
      {
        index: 0,
        space: "memory",
        address: null,
        type: "32-bit",
        prefetchable: false,
        enabled: false,
        sizeBytes: 4096,
      },
      {
        index: 1,
        space: "memory",
        address: null,
        type: "32-bit",
        prefetchable: false,
        enabled: false,
        sizeBytes: 8 << 20,
      },
    ]);
  });

  test("has a field only on the kinds of port that have it", () => {
    const bytes = model();
    const isThere = () =>
      "functionLevelResetCapability" in
      decodeConfig(bytes).capabilities.find(({ id }) => id === 0x10)!.registers[1]!.fields;
    expect(isThere()).toBe(true);
    bytes[0xc2] = 0x42; // a root port
    expect(isThere()).toBe(false);
  });
});

/** Bits worked out by hand from PCIe 6.0, for what lspci 3.9 does not decode. */
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
    ["GPF Phase 1 Timeout: 40s", "GPF Phase 2 Timeout: 500us"],
  ],
];

test("errors that few devices have are shown when they are set, each by its own bit", () => {
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
    const bytes = space(CONFIG_BYTES, [0x34, 0x40], [0x40, 0x10, 0, 2, 0], [0x100, 1, 0, 1, 0]);
    new DataView(bytes.buffer).setUint32(0x100 + offset, 2 ** bit, true);
    const lines = decodeConfig(bytes).capabilities[1]!.lines.join(" ");
    return lines.split(/\s+/).filter((word) => word.endsWith("+"));
  };
  for (const [offset, bit, word] of NAMES) expect(shown(offset, bit)).toEqual([`${word}+`]);
});

for (const [name, id, words, lines] of BY_HAND) {
  test(`by hand: ${name}`, () => {
    const bytes = space(CONFIG_BYTES, [0x34, 0x40], [0x40, 0x10, 0, 2, 0], [0x100, id, 0, 1, 0]);
    const view = new DataView(bytes.buffer);
    for (const [i, word] of words.entries()) view.setUint32(0x104 + 4 * i, word, true);
    const [title, ...shown] = decodeConfig(bytes).capabilities[1]!.lines.map((line) => line.trim());
    expect(title).toContain(name.split(" (")[0]!.split(":")[0]!);
    expect(shown).toEqual([...lines]);
  });
}

test("a 64-bit region takes two registers and is one region", () => {
  const bytes = space(256, [0x10, 0x0c, 0, 0, 0x80, 0x34, 0x12, 0, 0], [0x18, 0x01, 0xe0], [0x04, 0x01]);
  expect(decodeConfig(bytes).regions).toEqual([
    {
      index: 0,
      space: "memory",
      address: "0x123480000000",
      type: "64-bit",
      prefetchable: true,
      enabled: false,
    },
    { index: 2, space: "io", address: "0xe000", type: "io", prefetchable: false, enabled: true },
  ]);
});
