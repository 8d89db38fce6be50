/** Tables made of descriptions: what they have, and what is said of the rest. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DescriptionError } from "../../../src/registers/import/description.ts";
import { upperSnake } from "../../../src/registers/import/name.ts";
import { ipXactNumber, svdNumber } from "../../../src/registers/import/number.ts";
import { readDescription } from "../../../src/registers/import/read.ts";
import { tableSource } from "../../../src/registers/import/source.ts";
import { tableOf } from "../../../src/registers/import/table.ts";
import { findMistake } from "../../../src/registers/mistake.ts";
import type { RegisterTable } from "../../../src/registers/table.ts";

interface Made {
  readonly table: RegisterTable;
  readonly notes: readonly string[];
  readonly source: string;
}

function make(bytes: Uint8Array | string, blockName?: string, file = "x.xml"): Made {
  const description = readDescription(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
  const block = description.blocks.find(({ name }) => blockName === undefined || name === blockName)!;
  const notes: string[] = [];
  const note = (line: string) => void notes.push(line);
  const table = tableOf(block.read(note), 0n, note);
  const head = `Registers of ${block.name} in ${description.name} from ${file} (${description.format}), by vfiokit registers.`;
  return { table, notes, source: tableSource(table, head) };
}

const fromFile = (file: string, block: string) =>
  make(readFileSync(join(import.meta.dir, "descriptions", file)), block, file);

/** A component of 1685-2014 with one block of these registers. */
const component = (registers: string, edition = "IPXACT/1685-2014") =>
  `<?xml version="1.0"?><i:component xmlns:i="http://www.accellera.org/XMLSchema/${edition}"><i:name>c</i:name>
   <i:memoryMaps><i:memoryMap><i:name>m</i:name><i:addressBlock><i:name>b</i:name>${registers}</i:addressBlock></i:memoryMap></i:memoryMaps></i:component>`;
const register = (name: string, offset: string, more = "") =>
  `<i:register><i:name>${name}</i:name>${more}<i:addressOffset>${offset}</i:addressOffset><i:size>32</i:size></i:register>`;

describe("a table is the one in tables/, which the compiler checks", () => {
  test.each([
    ["timer.xml", "csr", "timer"],
    ["uart.xml", "line", "uart"],
    ["chip.svd", "DMA0", "dma0"],
    ["chip.svd", "DMA1", "dma1"],
  ])("%s, %s", async (file, block, table) => {
    const { source, table: made } = fromFile(file, block);
    const path = join(import.meta.dir, "tables", `${table}.ts`);
    expect(source).toBe(readFileSync(path, "utf8"));
    const { registers } = await import(path);
    expect(registers).toEqual(made);
    expect(findMistake(registers)).toBeUndefined();
  });
});

test("what the table does not say is said, each with its register", () => {
  expect(fromFile("timer.xml", "csr").notes).toEqual([
    "globalControl: the value external of clock is no plain number (EXT_CODE); left out",
    "tuning: its addressOffset is no plain number (BASE + 4); left out",
    "globalControl: reserved fields are left out: spare",
    "irq_raise: it mixes w1s, rw; its mode is rw, and each field's about has the field's own",
    "trim: it has 24 bits; the table has 32, all of which an access reads or writes",
    "odd: its offset 0x6a is no multiple of its 4 bytes; left out",
    "key: it has 128 bits; the table has an array of 32-bit words, without fields",
    "channel.compare: the array became 4 registers, since it has several dimensions",
    "CHANNEL_LIMIT_SHADOW: it lies over CHANNEL_LIMIT at 0x100; left out",
    "no reset value is given for IRQ_RAISE, LOST_TICKS, SCRATCH and 6 more; the table has 0",
  ]);
  expect(fromFile("uart.xml", "line").notes).toContain("TOGGLE: a write has an effect (oneToToggle): led");
  expect(fromFile("chip.svd", "DMA0").notes).toContain("FIFO: a read has an effect (modify)");
});

test("blocks are those of banks, too; peripherals are derived from one another", () => {
  const names = (file: string) =>
    readDescription(readFileSync(join(import.meta.dir, "descriptions", file))).blocks.map(({ name }) => name);
  expect(names("uart.xml")).toEqual(["line", "modem"]);
  expect(names("chip.svd")).toEqual(["DMA0", "DMA1"]);
  expect(fromFile("uart.xml", "modem").table).toEqual({
    LINES: { offset: 0, mode: "ro", about: "LINES" },
  });
});

describe("is refused, with what it is:", () => {
  const lol = Array.from({ length: 9 }, (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`).join("");
  test.each([
    ["an empty file", "", "it is not well-formed XML: Root element is missing"],
    ["text", "offset,name\n0,ID", "it is not well-formed XML"],
    ["XML that ends early", "<component><memoryMaps>", "it is not well-formed XML: Missing end tag"],
    ["another root", "<html/>", "it begins with <html>, where IP-XACT has <component>"],
    ["JSON", ' {"type": "addrmap"}', "it is JSON"],
    ["SystemRDL", "addrmap chip { reg {} a; };", "peakrdl ip-xact FILE.rdl"],
    ["another edition", component("", "IPXACT/1685-2022"), "it is a component of http"],
    ["no namespace", "<component/>", "it is a component of no namespace"],
    [
      "entities in entities",
      `<!DOCTYPE a [<!ENTITY l0 "ha">${lol}]><device>&l9;</device>`,
      "entity isn't defined",
    ],
    [
      "an external entity",
      '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><device>&x;</device>',
      "entity isn't defined",
    ],
    ["a deep tree", `${"<a>".repeat(100_000)}${"</a>".repeat(100_000)}`, "nested more than 256 deep"],
    ["an unknown encoding", '<?xml version="1.0" encoding="klingon"?><device/>', "it is not text in klingon"],
  ])("%s", (_, text, message) => {
    expect(() => make(text)).toThrow(DescriptionError);
    expect(() => make(text)).toThrow(message);
  });

  test("bytes that are no text", () => {
    expect(() => make(new Uint8Array([60, 255, 62]))).toThrow("it is not text in utf-8");
  });
});

describe("is left out, with a note:", () => {
  test.each([
    [
      "an offset beyond 2^53",
      register("A", "'h20000000000000"),
      "A: its offset 0x20000000000000 is too large",
    ],
    [
      "an array of 2^32",
      register("A", "0", "<i:dim>4294967296</i:dim>"),
      "A: it has 4294967296 elements; an array has from 1 to 65536",
    ],
    [
      "an array of 2^40",
      register("A", "0", "<i:dim>'h10000000000</i:dim>"),
      "A: its dim is no plain number ('h10000000000)",
    ],
    ["an array of none", register("A", "0", "<i:dim>0</i:dim>"), "A: it has 0 elements"],
    [
      "no offset",
      "<i:register><i:name>A</i:name><i:size>32</i:size></i:register>",
      "A: it has no addressOffset",
    ],
    [
      "no size",
      "<i:register><i:name>A</i:name><i:addressOffset>0</i:addressOffset></i:register>",
      "A: it has no size",
    ],
    [
      "a size of 2^60",
      "<i:register><i:name>A</i:name><i:addressOffset>0</i:addressOffset><i:size>1152921504606846976</i:size></i:register>",
      "A: its size is no plain number",
    ],
    ["one that is not present", register("A", "0", "<i:isPresent>0</i:isPresent>"), "A: it is not present"],
  ])("%s", (_, registers, message) => {
    const { table, notes } = make(component(registers + register("B", "8")));
    expect(Object.keys(table)).toEqual(["B"]);
    expect(notes[0]).toStartWith(message);
    expect(notes[0]).toEndWith("; left out");
  });

  test("arrays that would be too many registers all together", () => {
    const dim = "<i:dim>65536</i:dim>";
    const arrays = Array.from({ length: 20 }, (_, i) => register(`A${i}`, String(i * 262_144), dim)).join("");
    const { table, notes } = make(component(arrays));
    expect(Object.keys(table).length).toBe(4);
    expect(notes.filter((line) => line.includes("the arrays are too long; left out")).length).toBe(16);
  });
});

test("a register of more than 64 bits has the mode of its fields", () => {
  const field =
    "<i:field><i:name>f</i:name><i:bitOffset>0</i:bitOffset><i:bitWidth>96</i:bitWidth><i:access>read-only</i:access></i:field>";
  const wide = `<i:register><i:name>SERIAL</i:name><i:addressOffset>0</i:addressOffset><i:size>96</i:size>${field}</i:register>`;
  expect(make(component(wide)).table).toEqual({
    SERIAL: { offset: 0, mode: "ro", about: "SERIAL", count: 3 },
  });
});

test("a derivation in a circle is said, and ends", () => {
  const { notes } = make(`<device><name>d</name><peripherals><peripheral><name>P</name><registers>
    <register derivedFrom="B"><name>A</name><addressOffset>0</addressOffset></register>
    <register derivedFrom="A"><name>B</name><addressOffset>4</addressOffset></register>
    <register derivedFrom="Z"><name>C</name><addressOffset>8</addressOffset></register>
    </registers></peripheral></peripherals></device>`);
  expect(notes).toContain("A: derivedFrom A leads back to itself");
  expect(notes).toContain("C: derivedFrom Z names nothing in the file");
});

test("names are new identifiers in upper snake case, and no text ends the comment or a string", () => {
  expect(["DmaCtrl", "I2C_CR1", "3v3-ok", "__proto__", "µ", "IRQStatus", "a b"].map(upperSnake)).toEqual([
    "DMA_CTRL",
    "I2C_CR1",
    "_3V3_OK",
    "PROTO",
    "UNNAMED",
    "IRQ_STATUS",
    "A_B",
  ]);
  const { table } = make(component(register("a-b", "0") + register("A_B", "4") + register("aB", "8")));
  expect(Object.keys(table)).toEqual(["A_B", "A_B_2", "A_B_3"]);
  const text = tableSource(
    { A: { offset: 0, mode: "ro", about: 'a "quote" \\ */ \u2028' } },
    "from */ process.exit(1) /*\n.ts",
  );
  expect(text).toStartWith("/** from / process.exit(1) / .ts */\n");
  const told = new Bun.Transpiler({ loader: "ts" }).transformSync(text);
  expect(told.match(/exit/)).toBeNull();
});

test("numbers are those of each format, and expressions are none", () => {
  const xact = ["16", "0x1_0", "#10", "4K", "'h10", "8'b1_0000", "'sh10", " 'o20 ", "+16"];
  expect(xact.map(ipXactNumber)).toEqual([16n, 16n, 16n, 4096n, 16n, 16n, 16n, 16n, 16n]);
  const svd = ["16", "0X10", "#10000", "0b10000", "1k"];
  expect(svd.map(svdNumber)).toEqual([16n, 16n, 16n, 16n, 1024n]);
  const none = ["", "-1", "2**3", "WIDTH", "'b12", "'hxz", "1".repeat(100), "0x"];
  expect(none.map(ipXactNumber)).toEqual(none.map(() => undefined));
  expect(["#1x", "-1", "0b2", "#10000000002"].map(svdNumber)).toEqual(Array(4).fill(undefined));
});

test("damaged descriptions are refused, or make tables without a mistake whose text is the table", async () => {
  const pick = pickerOf(20261126);
  const nasty = [
    "",
    "0",
    "-1",
    "1",
    "7",
    "64",
    "65536",
    "0x100000000",
    "'hffffffffffffffff",
    "99999999999999999999",
    "x",
    "DMA0",
  ];
  let made = 0;
  for (const [file, rounds] of [
    ["timer.xml", 80],
    ["uart.xml", 80],
    ["chip.svd", 80],
  ] as const) {
    const whole = readFileSync(join(import.meta.dir, "descriptions", file), "latin1");
    for (let round = 0; round < rounds; round++) {
      // Between them are the elements without children.
      const parts = whole.split(/(<[\w:]+>[^<>]+<\/[\w:]+>)/);
      for (let change = 0; change < 4; change++) {
        const at = 2 * Math.floor(pick(parts.map((_, i) => i)) / 2) + 1;
        const value = pick([...nasty, undefined]);
        if (at >= parts.length) continue;
        parts[at] = value === undefined ? "" : parts[at]!.replace(/>[^<>]*</, () => `>${value}<`);
      }
      const text = parts.join("");
      try {
        const { blocks } = readDescription(Buffer.from(text, "latin1"));
        for (const block of blocks) {
          const table = tableOf(
            block.read(() => {}),
            0n,
            () => {},
          );
          const source = tableSource(table, file);
          const file64 = Buffer.from(new Bun.Transpiler({ loader: "ts" }).transformSync(source)).toString(
            "base64",
          );
          const { registers } = await import(`data:text/javascript;base64,${file64}`);
          expect(registers).toEqual(table);
          made++;
        }
      } catch (error) {
        expect(error).toBeInstanceOf(DescriptionError);
      }
    }
  }
  expect(made).toBeGreaterThan(100);
}, 60_000);

/** The same choices in every run. */
function pickerOf(seed: number): <T>(choices: readonly T[]) => T {
  let state = seed;
  return (choices) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return choices[Math.floor((state / 2 ** 32) * choices.length)]!;
  };
}
