/** The working directory of a guest, which is a folder of this machine. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runGuest } from "../../src/guest/run-guest.ts";

const TIMEOUT_MS = 240_000;
const FILES = 5;
const WATCHERS = [1, 2, 3];
const inside = "/vfiokit/test/guest/inside";

let folder: string;
const { TMPDIR } = process.env;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "vfiokit-share-"));
  process.env.TMPDIR = folder; // the guest's files lie in it
});
afterAll(() => {
  if (TMPDIR === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = TMPDIR;
  rmSync(folder, { recursive: true });
});

/** Runs steps in a guest; where they print "host:STEP" that step is taken here, with the path of the working directory. */
async function inGuest(
  arch: "x86_64" | "aarch64",
  steps: readonly string[],
  taken: Record<string, (work: string) => void> = {},
): Promise<string[]> {
  const [before, decoder] = [readdirSync(folder), new TextDecoder()];
  let text = "";
  const asked = new Set<string>();
  const collect = (bytes: Uint8Array) => {
    text += decoder.decode(bytes);
    for (const [, step] of text.matchAll(/^host:(\w+)\n/gm)) {
      if (asked.has(step!)) continue;
      asked.add(step!);
      const [mine] = readdirSync(folder).filter((name) => !before.includes(name));
      taken[step!]!(join(folder, mine!, "guest/work"));
    }
  };
  const { exitCode } = await runGuest({
    arch,
    command: ["sh", "-ec", steps.join("\n")],
    onStdout: collect,
    onStderr: collect,
    timeoutMs: TIMEOUT_MS - 10_000,
  });
  expect({ exitCode, text: exitCode === 0 ? "" : text }).toEqual({ exitCode: 0, text: "" });
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("host:"));
}

test.each(["x86_64", "aarch64"] as const)(
  "in an %s guest no byte is lost of a file that is appended to while three processes look at it",
  async (arch) => {
    const lines = await inGuest(arch, [
      "mkdir watched",
      ...WATCHERS.map(() => `bun ${inside}/watched.ts watch watched &`),
      `bun ${inside}/watched.ts write watched ${FILES}`,
      "wait",
    ]);
    const watched = WATCHERS.map(() => "watched well, 0 bytes wrong");
    expect(lines.sort()).toEqual([...watched, `wrote ${FILES}, 0 bytes wrong`]);
  },
  TIMEOUT_MS,
);

test.each(["x86_64", "aarch64"] as const)(
  "an %s guest maps files, runs programs from its working directory, and sees at once what is written here, and the other way round",
  async (arch) => {
    const seen: string[] = [];
    const next = (step: string) => [`echo host:${step}`, `until [ -e ${step} ]; do :; done`];
    const lines = await inGuest(
      arch,
      [
        `bun ${inside}/mapped.ts`,
        "cp /bin/busybox busybox",
        "./busybox cat /proc/self/comm",
        "echo 'console.log(\"a script\")' > script.ts",
        "bun script.ts",
        // The same size, and for a clock with seconds the same time.
        "echo one > ours; echo two > theirs",
        "cat ours theirs",
        ...next("first"),
        "cat ours theirs",
        "echo more >> theirs; echo 6 > ours",
        ...next("second"),
        "cat ours",
      ],
      {
        first(work) {
          seen.push(readFileSync(join(work, "theirs"), "utf8"));
          writeFileSync(join(work, "ours"), "ONE\n");
          writeFileSync(join(work, "first"), "");
        },
        second(work) {
          seen.push(...["theirs", "ours"].map((name) => readFileSync(join(work, name), "utf8")));
          writeFileSync(join(work, "ours"), "longer than it was\n");
          writeFileSync(join(work, "second"), "");
        },
      },
    );
    expect(lines).toEqual([
      "another process reads b",
      "this one reads b",
      "another process finds kept",
      "busybox",
      "a script",
      ...["one", "two"],
      ...["ONE", "two"],
      "longer than it was",
    ]);
    expect(seen).toEqual(["two\n", "two\nmore\n", "6\n"]);
  },
  TIMEOUT_MS,
);
