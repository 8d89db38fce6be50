/** bun run registers.ts, as users run it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "../media/rig.ts";
import { ROOT, shell } from "./rig.ts";

setDefaultTimeout(60_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
const tests = join(ROOT, "test/registers/import");

beforeAll(() => {
  for (const name of ["timer.xml", "uart.xml", "chip.svd"])
    copyFileSync(join(tests, "descriptions", name), folder.file(name));
});

async function run(line: string) {
  const { exitCode, stdout, stderr } = await shell(
    `unset CI; cd ${folder.file(".")}; VERB=${ROOT}/scripts/registers.ts; ${line}`,
  );
  return { exitCode, stdout: new TextDecoder().decode(stdout), stderr };
}

test("prints the table, and on standard error what it does not say", async () => {
  const { exitCode, stdout, stderr } = await run("bun $VERB timer.xml");
  expect(exitCode).toBe(0);
  expect(stdout).toBe(readFileSync(join(tests, "tables/timer.ts"), "utf8"));
  expect(stderr.split("\n")).toContain("ℹ odd: its offset 0x6a is no multiple of its 4 bytes; left out");
});

test("lists the blocks if there are several, and takes one by its name in any case", async () => {
  const { exitCode, stderr } = await run("bun $VERB chip.svd");
  expect(exitCode).toBe(2);
  expect(stderr).toContain("chip.svd has several blocks of registers; choose one with --block: DMA0, DMA1");
  expect((await run("bun $VERB chip.svd --block dma1 2> /dev/null")).stdout).toContain("of DMA1 in CHIP1");
  const none = await run("bun $VERB chip.svd --block UART");
  expect([none.exitCode, none.stderr]).toEqual([
    2,
    expect.stringContaining("--block UART: chip.svd has DMA0, DMA1"),
  ]);
});

test("writes a file only if it is new, or by --force; regs.ts reads it", async () => {
  const written = await run("bun $VERB uart.xml --block modem --at 0x40 -o modem.ts");
  expect([written.exitCode, written.stdout]).toEqual([0, "1 register -> modem.ts\n"]);
  expect(readFileSync(folder.file("modem.ts"), "utf8")).toContain("LINES: { offset: 0x40,");
  const again = await run("bun $VERB uart.xml --block modem -o modem.ts");
  expect([again.exitCode, again.stderr]).toEqual([
    2,
    expect.stringContaining("modem.ts exists; --force overwrites it"),
  ]);
  expect((await run("bun $VERB uart.xml --block modem --at 8 -o modem.ts --force")).exitCode).toBe(0);
  const shown = await run(`bun ${ROOT}/scripts/regs.ts model:vp9 --table ./modem.ts --json`);
  expect(JSON.parse(shown.stdout).registers.LINES).toMatchObject({ offset: 8, mode: "ro", width: 32 });
  const lost = await run("bun $VERB uart.xml --block modem -o there/is/none.ts");
  expect([lost.exitCode, lost.stderr]).toEqual([
    1,
    expect.stringContaining("none.ts can't be written: ENOENT"),
  ]);
});

test("--json has the table, 64-bit values as text, and the notes", async () => {
  const { exitCode, stdout } = await run("bun $VERB - --json < timer.xml 2> /dev/null");
  const { registers, notes, ...rest } = JSON.parse(stdout);
  expect(exitCode).toBe(0);
  expect(rest).toEqual({ format: "IP-XACT 2014", component: "quad_timer", block: "csr", base: "'h0" });
  expect(registers.UPTIME).toMatchObject({ offset: 24, width: 64, reset: "0xffffffff00000001" });
  expect(notes).toContain("odd: its offset 0x6a is no multiple of its 4 bytes; left out");
});

test.each([
  ["missing.xml", "missing.xml can't be read: ENOENT"],
  [
    "bad.xml",
    "bad.xml is no register description: it is not well-formed XML: Missing end tag for element a (line 1, column 4)",
  ],
  ["empty.svd", "empty.svd describes no registers"],
  ["none.svd", "none.svd: block P has no register that a table can have"],
])("ends with 1 where the file is of no use: %s", async (file, message) => {
  writeFileSync(folder.file("bad.xml"), "<a>");
  writeFileSync(folder.file("empty.svd"), "<device><peripherals/></device>");
  const peripheral = "<peripheral><name>P</name><registers><register/></registers></peripheral>";
  writeFileSync(folder.file("none.svd"), `<device><peripherals>${peripheral}</peripherals></device>`);
  const { exitCode, stdout, stderr } = await run(`bun $VERB ${file} --json`);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(message);
  expect(JSON.parse(stdout).error).toContain(message);
});

test("ends with 2 without a file, or where --at is no number", async () => {
  expect((await run("bun $VERB")).stderr).toContain("the description's file is missing; --help has examples");
  const { exitCode, stderr } = await run("bun $VERB timer.xml --at here");
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining("--at here: it must be a whole number")]);
});

test("what docs/your-device.md shows is what comes out", async () => {
  const text = readFileSync(join(ROOT, "docs/your-device.md"), "utf8");
  const [, command, shown] = /```console\n\$ (bun run registers\.ts .*)\n([^`]*)```/.exec(text)!;
  const { stdout, stderr } = await shell(`unset CI; ${command}`);
  expect(stderr + new TextDecoder().decode(stdout)).toBe(shown!);
});
