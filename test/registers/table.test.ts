import { expect, test } from "bun:test";
import { openRegisters } from "../../src/registers/access.ts";
import { packFields, unpackFields, valueName } from "../../src/registers/fields.ts";
import { registerName } from "../../src/registers/table.ts";

const table = {
  ID: { offset: 0, mode: "ro", about: "who" },
  CONTROL: {
    offset: 4,
    mode: "rw",
    about: "what",
    fields: {
      ON: { bits: [0, 0], about: "switch" },
      MODE: { bits: [28, 31], about: "how", values: { FAST: 15 } },
    },
  },
  EVENTS: { offset: 8, mode: "w1c", about: "when" },
  GO: { offset: 12, mode: "wo", about: "start" },
} as const;

function fakeBar() {
  const log: string[] = [];
  const io = {
    read32: (offset: number) => {
      log.push(`R${offset}`);
      return 0xf0000001;
    },
    write32: (offset: number, value: number) => void log.push(`W${offset}=${value.toString(16)}`),
  };
  return { log, registers: openRegisters(table, io) };
}

test("each accessor makes exactly one access, at its register's offset", () => {
  const { log, registers } = fakeBar();
  expect(registers.ID.read()).toBe(0xf0000001);
  expect(registers.CONTROL.readFields()).toEqual({ ON: 1, MODE: 15 });
  registers.CONTROL.writeFields({ MODE: 9 });
  registers.EVENTS.clear(2);
  registers.GO.write(7);
  expect(log).toEqual(["R0", "R4", "W4=90000000", "W8=2", "W12=7"]);
});

test("a register has only the accessors that its mode allows", () => {
  const { registers } = fakeBar();
  expect(Object.keys(registers.ID).sort()).toEqual(["range", "read", "readFields", "reset"]);
  expect(Object.keys(registers.GO).sort()).toEqual(["range", "reset", "write", "writeFields"]);
  expect(Object.keys(registers.EVENTS).sort()).toEqual(["clear", "range", "read", "readFields", "reset"]);
  // @ts-expect-error a read-only register can't be written
  expect(registers.ID.write).toBeUndefined();
});

test("fields are packed and taken apart, and a value that does not fit is refused", () => {
  expect(packFields(table.CONTROL, { ON: 1, MODE: 15 })).toBe(0xf0000001);
  expect(unpackFields(table.CONTROL, 0x90000000)).toEqual({ ON: 0, MODE: 9 });
  expect(() => packFields(table.CONTROL, { MODE: 16 })).toThrow("16 does not fit field MODE, bits 28 to 31");
  expect(() => packFields(table.CONTROL, { ON: -1 })).toThrow(RangeError);
});

test("messages have registers and values by name", () => {
  expect(registerName(table, 8)).toBe("EVENTS");
  expect(registerName(table, 0x40)).toBe("0x040");
  expect(valueName(table.CONTROL.fields.MODE, 15)).toBe("FAST");
  expect(valueName(table.CONTROL.fields.MODE, 3)).toBe("3");
});
