/** `encode.ts --codec help`, and where else the table of engines is told. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { chooseCodec } from "../../src/vp9/codec/codec.ts";
import { type CodecName, engines } from "../../src/vp9/codec/engine.ts";
import { LIBVPX_LICENCE } from "../../src/vp9/codec/libvpx-licence.ts";
import { stepsOf } from "../document.ts";
import { tempFolder } from "../media/rig.ts";
import { withoutNetwork } from "./fresh-machine.ts";
import { ROOT, start, startScript } from "./rig.ts";

setDefaultTimeout(120_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
/** Words with one space between them, as they are before lines are broken. */
const flat = (lines: string) => lines.replace(/\s+/g, " ");
const names = Object.keys(engines) as CodecName[];

interface Survey {
  readonly codecs: readonly Readonly<Record<string, unknown>>[];
  readonly auto: string | null;
  readonly licence: string | null;
}
/** The command where no libvpx is installed, nothing is cached and no network answers. */
const onFreshMachine = (cache: string, ...more: string[]) => {
  const command = ["env", `XDG_CACHE_HOME=${folder.file(cache)}`, "bun", "run", "encode.ts"];
  return start(withoutNetwork([...command, "--codec", "help", ...more])).ended();
};

test("--codec help tells each engine, what it is, and which one is used", async () => {
  const { exitCode, stdout, stderr } = await startScript("encode.ts", "--codec", "help").ended();
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  const told = flat(text(stdout));
  for (const name of names) expect(told).toContain(`${name} ${engines[name]} `);
  const { version } = await chooseCodec("libvpx");
  expect(told).toMatch(new RegExp(`${RegExp.escape(version)}, this machine's libvpx\\.so\\.\\d+ <- used`));
  expect(told).toContain(
    "embedded Debian 13's libvpx9 inside a standalone binary for glibc not here: only a",
  );
  expect(told).toEndWith(
    "Without --codec the software model uses libvpx, the first of these that can be had here. ",
  );
  expect(told.split("<- used")).toHaveLength(2);
});

test("--codec help --json is one object with the same, and needs no output and no input", async () => {
  const { exitCode, stdout, stderr } = await startScript("encode.ts", "--codec=help", "--json").ended();
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  const survey = JSON.parse(text(stdout)) as Survey;
  expect(survey.codecs.map(({ name, about }) => [name, about])).toEqual(Object.entries(engines));
  expect(survey.codecs[0]).toEqual({
    name: "libvpx",
    about: engines.libvpx,
    state: "ready",
    version: (await chooseCodec("libvpx")).version,
    detail: expect.stringMatching(/^this machine's libvpx\.so\.\d+$/),
    used: true,
  });
  expect(survey.codecs.map(({ used }) => used)).toEqual([true, false, false, false, false]);
  expect(survey.codecs.at(-1)).toMatchObject({ name: "null", state: "ready" });
  expect(survey).toMatchObject({ auto: "libvpx", licence: null });
});

test("on a fresh machine it names what would be downloaded, and what else is used, and downloads nothing", async () => {
  const { exitCode, stdout, stderr } = await onFreshMachine("fresh");
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  const told = flat(text(stdout));
  expect(told).toContain("not here: no such library: tried libvpx.so.12 (not found)");
  expect(told).toContain("would be downloaded once: 1 MB and the archive's index of 10 MB <- used");
  expect(told).toContain(
    "uses debian, the first of these that can be had here. If Debian's archive does not answer, it uses libav.js.",
  );
  const json = JSON.parse(text((await onFreshMachine("fresh", "--json")).stdout)) as Survey;
  expect(json.auto).toBe("debian");
  expect(json.codecs.map(({ state }) => state)).toEqual([
    ...["unavailable", "unavailable", "download", "ready", "ready"],
  ]);
  expect(json.codecs.map(({ version }) => version === null)).toEqual([true, true, true, false, false]);
  expect(existsSync(folder.file("fresh/vfiokit"))).toBe(false);
});

test("--help and docs/encode.md have the table of engines, in its order", async () => {
  const help = flat(text((await startScript("encode.ts", "--help").ended()).stdout));
  expect(help).toContain(names.map((name) => `${name} ${engines[name]} `).join(""));
  const page = readFileSync(join(ROOT, "docs/encode.md"), "utf8");
  const section = page.split("\n## The model's codec\n")[1]!.split("\n## ")[0]!;
  const rows = [...section.matchAll(/^\| `(\S+)` \| (.*) \|$/gm)].map(([, name, about]) => [name, about]);
  expect(rows.slice(1, 1 + names.length)).toEqual(Object.entries(engines));
});

test("docs/encode.md shows what --codec help prints where nothing is cached", async () => {
  const page = readFileSync(join(ROOT, "docs/encode.md"), "utf8");
  const step = stepsOf(page).find(({ command }) => command === "bun run encode.ts --codec help");
  const cache = `XDG_CACHE_HOME=${folder.file("uncached")}`;
  const { stdout } = await start(["env", cache, "bun", "run", "encode.ts", "--codec", "help"]).ended();
  const versionless = (lines: string) =>
    lines.replace(/libvpx v[\d.]+/g, "libvpx").replace(/libvpx\.so\.\d+/g, "libvpx.so");
  expect(versionless(text(stdout))).toBe(versionless(step!.shown));
});

test("docs/standalone.md has libvpx's licence", () => {
  expect(readFileSync(join(ROOT, "docs/standalone.md"), "utf8")).toContain(
    `\`\`\`text\n${LIBVPX_LICENCE}\n\`\`\``,
  );
});
