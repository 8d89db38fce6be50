import type { Texts } from "./lspci.ts";

/** lspci's versions that the texts come from: the installed one, and the one that was recorded. */
type Version = "3.9" | "3.15";

/**
 * Where ours differs from lspci on purpose, and why. Each is taken out of both texts, whose words are joined by single
 * spaces. Ours follows 3.15; what only 3.9 words otherwise is compared with the recorded texts.
 */
const DIFFERENCES: readonly {
  readonly why: string;
  /** Which version; both, where absent. */
  readonly version?: Version;
  /** Which capabilities, by their first line; all, where absent. */
  readonly of?: RegExp;
  readonly theirs?: readonly [what: RegExp, instead: string];
  readonly ours?: readonly [what: RegExp, instead: string];
}[] = [
  {
    why: "in a dump lspci takes the upper half of a 64-bit region's address for a region of its own",
    theirs: [
      /(Memory at [0-9a-f]+ \(64-bit, [^)]*\)( \[disabled\])?) Region \d: Memory at <unassigned> \([^)]*\)( \[disabled\])?/g,
      "$1",
    ],
  },
  {
    why: "lspci 3.15 names the pin after the right one, and tells disabled interrupts, which ours shows as DisINTx+",
    version: "3.15",
    theirs: [/ Interrupts: \S+ (pin|\S+)( disabled| routed to IRQ \d+)?/, ""],
    ours: [/ Interrupt: pin \S+ routed to IRQ \d+/, ""],
  },
  {
    why: "the speed's code is the place of its bit in the vector of speeds: 7 for 128 GT/s, where lspci has 8",
    version: "3.15",
    of: /Express \(v/,
    theirs: [/((?:LnkCap|LnkSta|LnkCtl2): .*?[Ss]peed:?) (?:128GT\/s|[Uu]nknown)/g, "$1 faster"],
    ours: [/((?:LnkCap|LnkSta|LnkCtl2): .*?[Ss]peed:?) (?:128GT\/s|[Uu]nknown)/g, "$1 faster"],
  },
  {
    why: "64 and 128 GT/s came after lspci 3.9",
    version: "3.9",
    of: /Express \(v/,
    theirs: [/(Supported Link Speeds:) RsvdP/, "$1 faster"],
    ours: [/(Supported Link Speeds:) 2\.5-(64|128)GT\/s/, "$1 faster"],
  },
  {
    why: "the code for 128 GT/s, too",
    version: "3.9",
    of: /Express \(v/,
    theirs: [/((?:LnkCap|LnkSta|LnkCtl2): .*?[Ss]peed:?) [Uu]nknown/g, "$1 faster"],
    ours: [/((?:LnkCap|LnkSta|LnkCtl2): .*?[Ss]peed:?) (?:128GT\/s|[Uu]nknown)/g, "$1 faster"],
  },
  {
    why: "and so did flit mode and TEE-IO",
    version: "3.9",
    of: /Express \(v/,
    ours: [/, FLIT Mode Supported|,? (TEE-IO|FltModeDis|FltMode)[+-]/g, ""],
  },
  {
    why: "lspci 3.9 has fewer fields of device control 2, in another order",
    version: "3.9",
    of: /Express \(v/,
    theirs: [/DevCtl2: .*?(?=LnkCap2|LnkCtl2|$)/, ""],
    ours: [/DevCtl2: .*?(?=LnkCap2|LnkCtl2|$)/, ""],
  },
  {
    why: "lspci 3.9 calls the link's disable bit otherwise",
    version: "3.9",
    of: /Express \(v/,
    theirs: [/ Disabled([+-] CommClk)/, " LnkDisable$1"],
  },
  {
    why: "3.15 has one name for an interrupt's number, and counts in tens",
    version: "3.9",
    theirs: [/(MSI|INT Msg #|IntMsg|Interrupt Message Number:?) ?[0-9a-f]{1,3}(?![0-9a-f])/, "IntMsgNum"],
    ours: [/IntMsgNum \d+/, "IntMsgNum"],
  },
  {
    why: "these errors came after lspci 3.9",
    version: "3.9",
    of: /Advanced Error Reporting/,
    ours: [
      / (UncorrIntErr|BlockedTLP|AtomicOpBlocked|TLPBlockedErr|PoisonTLPBlocked|DMWrReqBlocked|IDECheck|MisIDETLP|PCRC_CHECK|TLPXlatBlocked|CorrIntErr|HeaderOF)[+-]/g,
      "",
    ],
  },
  {
    why: "a status bit that lspci 3.9 does not know",
    version: "3.9",
    of: /\(PRI\)/,
    ours: [/ PASID[+-]/, ""],
  },
  {
    why: "lspci 3.9 has a colon before the sign",
    version: "3.9",
    of: /Precision Time/,
    theirs: [/:([+-])/g, "$1"],
  },
  {
    why: "vital product data are read by writing to the device, which info does not do",
    of: /Vital Product Data/,
    theirs: [/ Not readable$/, ""],
  },
  {
    why: "lspci looks at the low byte of the frequencies only, and has no name for those above 1.6 GHz",
    of: /HyperTransport: (Slave or Primary|Host or Secondary)/,
    theirs: [/ 1\.4GHz[+-] 1\.6GHz[+-] Vend[+-]/g, ""],
    ours: [/ 1\.4GHz[+-] 1\.6GHz[+-] Vend[+-]/g, ""],
  },
  {
    why: "lspci leaves them undecoded, and does not know the names of some",
    version: "3.9",
    of: /Power Budgeting|Dynamic Power|Readiness Time|Data Link Feature|Physical Layer|Lane Margining|ID 0x(2a|2b|2c|2f|30|31|32)$|Alternate Protocol|System Firmware|Device 3|Integrity|Flit Logging/,
    theirs: [/^(Capabilities: \[100 v\d\]).*/, "$1"],
    ours: [/^(Capabilities: \[100 v\d\]).*/, "$1"],
  },
  {
    why: "lspci leaves out lanes with wrong parity; ours shows them where there are some",
    version: "3.15",
    of: /Physical Layer 16/,
    ours: [/ \w+ParityMismatch: [0-9a-f]{8}/g, ""],
  },
  {
    why: "a run of devices that ends with device 31 has no end in lspci",
    of: /Event Collector/,
    ours: [/(Device\(s\): [\d, -]*)-31(?= AssociatedBus|$)/, "$1"],
  },
  {
    why: "lspci takes bits 0 and 1, the latter of which is reserved, for the error, which is bit 2",
    of: /Data Object Exchange/,
    theirs: [/ Error[+-]/, ""],
    ours: [/ Error[+-]/, ""],
  },
  {
    why: "two control bits that lspci leaves out; ours shows them when they are set",
    of: /Data Object Exchange/,
    ours: [/ (Abort|Go)\+/g, ""],
  },
  {
    why: "lspci takes bits 1 and 3 for the completion, which is bit 0",
    of: /Designated Vendor-Specific/,
    theirs: [/(CXLPortSta:) PMComplete[+-]/, "$1"],
    ours: [/(CXLPortSta:) PMComplete[+-]/, "$1"],
  },
  {
    why: "lspci 3.9 does not know that 7 means tens of seconds",
    version: "3.9",
    of: /Designated Vendor-Specific/,
    theirs: [/(GPF Phase . \w+:) (\d+)(?:<\?>|s)/g, "$1 $2"],
    ours: [/(GPF Phase . \w+:) (\d+)(?:<\?>|s)/g, "$1 $2"],
  },
  {
    why: "lspci 3.9 has no titles for CXL's structures",
    version: "3.9",
    of: /Designated Vendor-Specific/,
    ours: [/(: CXL) (PCIe DVSEC.*? (Devices|Port|<\?>)|.*?DVSEC( for \w+( Devices| Ports)?)?)(?= |$)/, "$1"],
  },
  {
    why: "lspci 3.9 knows less of CXL's device and flex bus, with other spaces",
    version: "3.9",
    of: /Designated Vendor-Specific: Vendor=1e98 ID=000[07]/,
    theirs: [/(: CXL).*/, "$1"],
    ours: [/(: CXL).*/, "$1"],
  },
  {
    why: "lspci's masks for these bits are their numbers",
    version: "3.15",
    of: /Designated Vendor-Specific/,
    theirs: [
      / (InitRst|RstMemClrEn|DesiredVolatileHDMStateAfterHotReset|HotReset|HotResetConfigurability)[+-]/g,
      "",
    ],
    ours: [
      / (InitRst|RstMemClrEn|DesiredVolatileHDMStateAfterHotReset|HotReset|HotResetConfigurability)[+-]/g,
      "",
    ],
  },
  {
    why: "ours shows the bytes of what it does not decode",
    version: "3.15",
    of: /Designated Vendor-Specific/,
    theirs: [/(: CXL .*) <\?>$/, "$1"],
    ours: [/(: CXL .*) <\?>$/, "$1"],
  },
  {
    why: "lspci has the enable bit for PCRC",
    version: "3.15",
    of: /Integrity/,
    theirs: [/(LinkIDE#\d+ Ctl: .*?) PCRC[+-]/g, "$1"],
    ours: [/(LinkIDE#\d+ Ctl: .*?) PCRC[+-]/g, "$1"],
  },
  {
    why: "lspci has the width's bit 2 for the interrupt, which is bit 3",
    version: "3.15",
    of: /Flit Logging/,
    theirs: [/ Event Count[+-]/, ""],
    ours: [/ Event Count[+-]/, ""],
  },
  {
    why: "lspci has the frequency of gear 1 for all three",
    version: "3.15",
    of: /Intel Capabilities/,
    theirs: [/ (DDR4MaxFreq|LPDDR4MaxFreq)=\d+MHz/g, ""],
    ours: [/ (DDR4MaxFreq|LPDDR4MaxFreq)=\d+MHz/g, ""],
  },
];

/** Lines of ours that lspci has not: the bytes of what is not decoded. */
const HEX_LINE = /^\t\t[0-9a-f]{2,3}: [0-9a-f]{2}( [0-9a-f]{2})*$/;

function words(lines: readonly string[], side: "theirs" | "ours", lspci: Version): string {
  const [first = ""] = lines;
  let text = lines
    .filter((line) => side === "theirs" || !HEX_LINE.test(line))
    .join(" ")
    .split(/\s+/)
    .join(" ")
    .trim();
  for (const { of, version = lspci, [side]: rule } of DIFFERENCES)
    if (rule && version === lspci && (!of || of.test(first))) text = text.replace(rule[0], rule[1]);
  return text.trim();
}

/** Pairs of what differs from lspci of a version, each under its function's name. */
export function wrongWords(pairs: readonly Texts[], version: Version) {
  const wrong: { name: string; theirs: string; ours: string }[] = [];
  for (const { name, theirs, ours } of pairs) {
    const check = (a: readonly string[], b: readonly string[]) => {
      const [theirWords, ourWords] = [words(a, "theirs", version), words(b, "ours", version)];
      if (theirWords !== ourWords) wrong.push({ name, theirs: theirWords, ours: ourWords });
    };
    check(theirs.header, ours.header);
    const count = Math.max(theirs.capabilities.length, ours.capabilities.length);
    for (let i = 0; i < count; i++) check(theirs.capabilities[i] ?? [], ours.capabilities[i] ?? []);
  }
  return wrong;
}
