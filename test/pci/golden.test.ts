import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readDump } from "../../src/pci/decode/hex-dump.ts";
import { type Text, texts } from "./lspci.ts";
import { extendedKinds, type Kind, randomNumbers, standardKinds, syntheticSpace } from "./synthetic.ts";

setDefaultTimeout(60_000);

/**
 * Where ours differs from lspci 3.9.0 on purpose, and why. Each is taken out of both texts, whose words are joined by
 * single spaces.
 */
const differences: readonly {
  readonly why: string;
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
    why: "64 GT/s came after lspci 3.9",
    of: /Express \(v/,
    theirs: [/(Supported Link Speeds:) RsvdP/, "$1 faster"],
    ours: [/(Supported Link Speeds:) (2\.5-64GT\/s|RsvdP)/, "$1 faster"],
  },
  {
    why: "these errors came after lspci 3.9; ours shows those that are set",
    of: /Advanced Error Reporting/,
    ours: [
      / (UncorrIntErr|BlockedTLP|AtomicOpBlocked|TLPBlockedErr|PoisonTLPBlocked|DMWrReqBlocked|IDECheck|MisIDETLP|PCRC_CHECK|TLPXlatBlocked|CorrIntErr|HeaderOF)\+/g,
      "",
    ],
  },
  { why: "a status bit that lspci 3.9 does not know", of: /\(PRI\)/, ours: [/ PASID\+/, ""] },
  {
    why: "vital product data are read by writing to the device, which info does not do",
    of: /Vital Product Data/,
    theirs: [/ Not readable$/, ""],
  },
  {
    why: "of HyperTransport's interfaces ours shows the bytes",
    of: /HyperTransport: (Slave or Primary|Host or Secondary)/,
    theirs: [/(Interface) .*/, "$1"],
  },
  {
    why: "lspci leaves them undecoded, and does not know the names of some",
    of: /Power Budgeting|Dynamic Power|Readiness Time|Data Link Feature|Physical Layer|Lane Margining|ID 0x(2a|2b|2c|2f|30|31)$|Alternate Protocol|System Firmware|Device 3|Integrity and Data/,
    theirs: [/^(Capabilities: \[100 v\d\]).*/, "$1"],
    ours: [/^(Capabilities: \[100 v\d\]).*/, "$1"],
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
    why: "lspci does not know that 7 means tens of seconds",
    of: /Designated Vendor-Specific/,
    theirs: [/(GPF Phase . \w+:) (\d+)(?:<\?>|s)/g, "$1 $2"],
    ours: [/(GPF Phase . \w+:) (\d+)(?:<\?>|s)/g, "$1 $2"],
  },
];

/** Lines of ours that lspci has not: the bytes of what is not decoded. */
const HEX_LINE = /^\t\t[0-9a-f]{2,3}: [0-9a-f]{2}( [0-9a-f]{2})*$/;

function words(lines: readonly string[], side: "theirs" | "ours"): string {
  const [first = ""] = lines;
  let text = lines
    .filter((line) => side === "theirs" || !HEX_LINE.test(line))
    .join(" ")
    .split(/\s+/)
    .join(" ")
    .trim();
  for (const { of, [side]: rule } of differences)
    if (rule && (!of || of.test(first))) text = text.replace(rule[0], rule[1]);
  return text.trim();
}

/** Pairs of what differs, each under its function's name. */
function compare(pairs: readonly { name: string; theirs: Text; ours: Text }[]) {
  const wrong: { name: string; theirs: string; ours: string }[] = [];
  for (const { name, theirs, ours } of pairs) {
    const check = (a: readonly string[], b: readonly string[]) => {
      const [theirWords, ourWords] = [words(a, "theirs"), words(b, "ours")];
      if (theirWords !== ourWords) wrong.push({ name, theirs: theirWords, ours: ourWords });
    };
    check(theirs.header, ours.header);
    const count = Math.max(theirs.capabilities.length, ours.capabilities.length);
    for (let i = 0; i < count; i++) check(theirs.capabilities[i] ?? [], ours.capabilities[i] ?? []);
  }
  return wrong;
}

const VARIANTS = 25;

test(`${standardKinds.length} standard capabilities, ${VARIANTS} times with random bits, read as lspci reads them`, () => {
  const random = randomNumbers(1);
  const spaces = standardKinds.flatMap((kind: Kind) =>
    Array.from({ length: VARIANTS }, () => syntheticSpace(random, kind, undefined)),
  );
  expect(compare(texts(spaces)).slice(0, 5)).toEqual([]);
});

test(`${extendedKinds.length} extended capabilities, ${VARIANTS} times with random bits, read as lspci reads them`, () => {
  const random = randomNumbers(2);
  const spaces = extendedKinds.flatMap((kind: Kind) =>
    Array.from({ length: VARIANTS }, () => syntheticSpace(random, undefined, kind)),
  );
  expect(compare(texts(spaces)).slice(0, 5)).toEqual([]);
});

const DUMPS = join(import.meta.dir, "dumps");
for (const file of readdirSync(DUMPS)) {
  test(`the functions of ${file} read as lspci reads them`, () => {
    const spaces = readDump(new Uint8Array(readFileSync(join(DUMPS, file)))).map(({ address, bytes }) => ({
      bytes,
      name: `${file}, ${address}`,
    }));
    expect(spaces.length).toBeGreaterThan(5);
    expect(compare(texts(spaces))).toEqual([]);
  });
}
