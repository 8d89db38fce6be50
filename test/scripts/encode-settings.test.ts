/** encode.ts's options beside vpxenc's, and the table of them in docs/encode.md. */
import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { withSettingsTable } from "../../scripts/docs/settings-table.ts";
import { vpxencAnswers } from "../../scripts/encode/settings.ts";
import { tempFolder } from "../media/rig.ts";
import { encode, encodeJson, ROOT } from "./rig.ts";

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

test("docs/encode.md has the settings that encode.ts has; bun run docs.ts writes them anew", () => {
  const document = readFileSync(join(ROOT, "docs/encode.md"), "utf8");
  expect(withSettingsTable(document)).toBe(document);
  expect(withSettingsTable(document.replace("| `--min-q` | same |", "| `--min` | same |"))).toBe(document);
});

test("each of vpxenc's options for VP9 is one of encode.ts's, or is answered", async () => {
  const help = Bun.spawnSync(["vpxenc", "--help"]).stdout.toString();
  // From release to release the list of internal parameters at the end differs.
  const sections = help.split(/^(?=[A-Z][^\n]*Options:$)/m).filter((text) => !/^(VP8|Vizier)/.test(text));
  const theirs = sections
    .join("")
    .split("\n")
    .flatMap((line) => /^ +(?:-(\w)(?: <arg>)?, +)?--([\w-]+)/.exec(line)?.slice(1) ?? [])
    .filter((name) => name !== undefined);
  expect(theirs.length).toBeGreaterThan(90);
  const ours = Buffer.from((await encode("--help")).stdout).toString();
  const known = new Set(
    [
      ...Buffer.from(ours)
        .toString()
        .matchAll(/--?([\w-]+)/g),
    ].map(([, name]) => name!),
  );
  const isKnown = (name: string) => known.has(name) || Object.hasOwn(vpxencAnswers, name);
  expect(theirs.filter((name) => name !== "help" && !isKnown(name))).toEqual([]);
});

test.each([
  ["--cpu-used=5", "unknown option --cpu-used: here it is --speed; see --help"],
  ["--end-usage=cbr", "unknown option --end-usage: here it is --rc; see --help"],
  ["--rt", "unknown option --rt: encoding is always real-time"],
  ["--codec=vp9", "--codec vp9: the video is always VP9; leave it out; see --help"],
  ["--lossless=2", "--lossless 2: it must be a whole number from 0 to 1"],
  ["--aq-mode=-1", "--aq-mode -1: it must be a whole number from 0 to 4"],
  ["--tune-content=noise", "--tune-content noise: it must be one of default, screen, film"],
  ["--frames=5 --skip=5", "--frames 5 --skip 5: no frame is left; --frames counts the skipped ones, too"],
  ["--skip=50", "built-in clip has 50 frames, and 50 were to be skipped"],
])("%s is refused with what helps", async (option, words) => {
  const { exitCode, stderr } = await encode(...option.split(" "), "-o", "/dev/null.ivf");
  expect(stderr).toContain(words);
  expect(exitCode).toBe(option.startsWith("--skip") ? 3 : 2);
});

test("frames that rate control drops are counted, and the others have packets", async () => {
  const dropping = ["--rc", "cbr", "--bitrate", "20", "--drop-frame", "80", "--buf-sz", "300"];
  const report = await encodeJson(...dropping, "--skip", "4", "-o", folder.file("dropping.ivf"));
  const { frames, droppedFrames } = report as { frames: number; droppedFrames: number };
  expect(droppedFrames).toBeGreaterThan(5);
  expect(frames + droppedFrames).toBe(46);
});
