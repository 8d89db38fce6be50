/** What every verb says of itself, and of a command line that it doesn't understand. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { tempFolder } from "../media/rig.ts";
import { ROOT, shell, start, startScript } from "./rig.ts";

setDefaultTimeout(120_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

const parts = ["say.ts", "usage.ts"];
const verbs = readdirSync(`${ROOT}/scripts`).filter((name) => name.endsWith(".ts") && !parts.includes(name));
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** What is shown on a terminal of 80 columns, line ends as in a file. */
async function onTerminal(command: string): Promise<string> {
  const { stdout } = await start([
    "env",
    "-u",
    "CI",
    "script",
    "-qec",
    `stty cols 80; ${command}`,
    "/dev/null",
  ]).ended();
  return text(stdout).replaceAll("\r\n", "\n");
}

describe("--help", () => {
  test.each(verbs)("of %s fits 80 columns, the same on a terminal and in a pipe", async (verb) => {
    const command = `bun scripts/${verb} --help`;
    const { exitCode, stdout, stderr } = await shell(command);
    const help = text(stdout);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(help.split("\n").filter((line) => line.length > 80)).toEqual([]);
    expect(help).not.toMatch(/[ \t]$|\n\n\n.|[^\n\P{Cc}]/mu); // no colour either
    expect(help).toEndWith("\n\n");
    expect(help).toMatch(/^[A-Z].*[\s\S]*\n {2}(sudo )?(bun run |vfiokit )/);
    expect(help).not.toContain(`(${verb})`);
    expect(await onTerminal(command)).toBe(help);
  });

  test.each([
    ["encode.ts", "[OPTIONS] --output OUT [INPUT]"],
    ["peek.ts", "[OPTIONS] <SPEC> <PLACE>"],
    ["poke.ts", "[OPTIONS] <SPEC> <PLACE> [VALUES...]"],
    ["config.ts", "[OPTIONS] <SPEC> [OPERATIONS...]"],
    ["regs.ts", "[OPTIONS] <SPEC> [NAMES...]"],
    ["registers.ts", "[OPTIONS] <FILE>"],
    ["irq.ts", "[OPTIONS] <SPEC>"],
    ["reset.ts", "[OPTIONS] <SPEC>"],
    ["model.ts", "[OPTIONS] --socket PATH"],
    ["bind.ts", "[OPTIONS] <ADDRESS...>"],
    ["enable.ts", "[OPTIONS] <ADDRESS>"],
    ["vf.ts", "[OPTIONS] [ADDRESS]"],
    ["release.ts", "[OPTIONS] [ADDRESS...]"],
    ["doctor.ts", "[OPTIONS] [ADDRESS]"],
    ["setup.ts", "[OPTIONS] [FUNCTIONS...]"],
    ["guest.ts", "[OPTIONS] -- COMMAND..."],
  ])("of %s shows as required what the verb can't do without: %s", async (verb, line) => {
    const help = text((await startScript(verb, "--help").ended()).stdout);
    expect(help).toContain(`\nUSAGE ${verb.replace(".ts", "")}`);
    expect(help.replace(/\s+/g, " ")).toContain(`USAGE ${verb} ${line} `);
    const { exitCode } = await startScript(verb).ended();
    if (/<|--\w+ [A-Z]|-- C/.test(line)) expect(exitCode).toBe(2);
    else expect(exitCode === 2 && !["release.ts", "setup.ts"].includes(verb)).toBe(false);
  });

  test("has options with their short names, choices and defaults, and no default of a switch", async () => {
    const help = text((await startScript("encode.ts", "--help").ended()).stdout);
    expect(help).toMatch(/^ {2}-o, --output OUT {2,}\.ivf or \.webm file/m);
    expect(help).toMatch(/^ {2}--rc cbr\|vbr\|cq\|q {2,}Rate control \(--end-usage\) \(default: vbr\)$/m);
    expect(help).not.toContain("default: false");
  });
});

test.each([
  ["--x", "unknown option --x;"],
  ["--no-x", "unknown option --no-x;"],
  ["-x", "unknown option -x;"],
  ["--xyz=3", "unknown option --xyz;"],
  ["--no-xyz", "unknown option --no-xyz;"],
])("an unknown option is named as it was typed: %s", async (typed, message) => {
  const { exitCode, stderr } = await startScript("list.ts", typed).ended();
  expect(stderr).toContain(message);
  expect(exitCode).toBe(2);
});

test.each([
  ["encode.ts", ["clip.y4m", "-o"], "-o, --output OUT: the value is missing;"],
  ["encode.ts", ["clip.y4m", "-o", "x.ivf", "--device="], "--device SPEC: the value is missing;"],
  ["bench.ts", ["encode", "--json"], "--json F: the value is missing;"],
  ["model.ts", ["--socket="], "--socket PATH: the value is missing;"],
])("an option without its value is named: %s %p", async (verb, words, message) => {
  const { exitCode, stderr } = await startScript(verb, ...words).ended();
  expect(stderr).toContain(message);
  expect(exitCode).toBe(2);
});

test("an error on a terminal has no clock", async () => {
  const shown = await onTerminal("bun scripts/peek.ts nonsense:1 0:0");
  expect(shown).toMatch(/^\s*ERROR {2}"nonsense:1" is not a device that can be opened/);
});

test("a list without a match says so beside its output, which stays empty", async () => {
  const none = await startScript("list.ts", "--id", "ffff:ffff").ended();
  expect([none.exitCode, text(none.stdout)]).toEqual([0, ""]);
  expect(none.stderr).toMatch(/no PCI function matches\n$/);
  const json = await startScript("list.ts", "--id", "ffff:ffff", "--json").ended();
  expect([json.exitCode, text(json.stdout), json.stderr]).toEqual([0, "[]\n", ""]);
});
