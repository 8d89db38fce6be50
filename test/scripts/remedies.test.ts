/** What helps: src/ has it as data, and the command line says how it is typed where it runs. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  cloneVerbs,
  packageVerbNames,
  verbNames,
  type Way,
  wayOf,
  wordCommand,
  wordError,
  wordMentions,
  wordParts,
  wordRemedies,
} from "../../scripts/cli/remedy.ts";
import { UsageError } from "../../scripts/cli/usage-error.ts";
import { wordMediaError } from "../../scripts/encode/options.ts";
import { verbs } from "../../scripts/vfiokit/verbs.ts";
import { DeviceError, openDevice } from "../../src/index.ts";
import { MediaError } from "../../src/media/media-error.ts";
import { BusError } from "../../src/pci/bus/bus-error.ts";
import { readFunction } from "../../src/pci/bus/functions.ts";
import { ROOT } from "./rig.ts";

const bind = { verb: "bind", args: ["0000:00:09.0", "--force"], does: "binds it anyway" };
const doctor = { verb: "doctor", args: [] };
const ways: readonly Way[] = ["clone", "npx", "command", "binary"];

function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

describe("a remedy is worded", () => {
  test("as it is typed in a clone, with npx, with an installed command, and with a standalone binary", () => {
    expect(ways.map((way) => wordCommand(bind, way))).toEqual([
      "bun run bind.ts 0000:00:09.0 --force",
      "npx vfiokit bind 0000:00:09.0 --force",
      "vfiokit bind 0000:00:09.0 --force",
      "vfiokit bind 0000:00:09.0 --force",
    ]);
  });

  test("so that a shell takes each word for one", () => {
    const model = { verb: "model", args: ["--socket", "/tmp/my socket's"] };
    expect(wordCommand(model, "binary")).toBe("vfiokit model --socket '/tmp/my socket'\\''s'");
  });

  test("behind a colon where the message says what it is for, else behind a semicolon and with what it does", () => {
    expect(wordRemedies("no", [], "clone")).toBe("no");
    expect(wordRemedies("no", [doctor], "clone")).toBe("no: bun run doctor.ts");
    expect(wordRemedies("no", [bind, { ...doctor, does: "tells why" }], "binary")).toBe(
      "no; vfiokit bind 0000:00:09.0 --force binds it anyway, and vfiokit doctor tells why",
    );
  });

  test("on a line of its own after a message of several lines", () => {
    expect(wordRemedies("in use:\nsomebody", [bind], "clone")).toBe(
      "in use:\nsomebody\nbun run bind.ts 0000:00:09.0 --force binds it anyway",
    );
  });

  test("within a sentence", () => {
    expect(wordParts(["sudo ", doctor, ", or else"], "npx")).toBe("sudo npx vfiokit doctor, or else");
  });
});

test("verbs are named as they were run", () => {
  expect(wayOf("/home/me/vfiokit/scripts/bind.ts", "run-script", false)).toBe("clone");
  expect(wayOf("/home/me/node_modules/vfiokit/scripts/vfiokit.ts", "exec", false)).toBe("npx");
  expect(wayOf("/usr/lib/node_modules/vfiokit/scripts/vfiokit.ts", undefined, false)).toBe("command");
  expect(wayOf("/$bunfs/root/vfiokit", undefined, true)).toBe("binary");
});

test("help names verbs as they are typed, and leaves paths and a user's files alone", () => {
  const help =
    "release.ts gives back.\n  bun run bind.ts 00:09.0\n  cat x | bun run info.ts -\nsee scripts/info.ts, driver.ts; bun run guest.ts";
  expect(ways.map((way) => wordMentions(help, way))).toEqual([
    help,
    "vfiokit release gives back.\n  npx vfiokit bind 00:09.0\n  cat x | npx vfiokit info -\nsee scripts/info.ts, driver.ts; npx vfiokit guest",
    "vfiokit release gives back.\n  vfiokit bind 00:09.0\n  cat x | vfiokit info -\nsee scripts/info.ts, driver.ts; vfiokit guest",
    "vfiokit release gives back.\n  vfiokit bind 00:09.0\n  cat x | vfiokit info -\nsee scripts/info.ts, driver.ts; bun run guest.ts",
  ]);
});

test("every verb has a name to be worded by", () => {
  expect(Object.keys(verbs).sort()).toEqual([...verbNames].sort());
  const files = readdirSync(join(ROOT, "scripts")).flatMap((name) => /^(.*)\.ts$/.exec(name)?.[1] ?? []);
  expect([...verbNames, ...packageVerbNames, ...cloneVerbs, "vfiokit"].sort()).toEqual(files.sort());
});

describe("an error carries its remedies as data", () => {
  const absent = {
    text: "there is no PCI function ffff:ff:1f.7",
    remedies: [
      { verb: "list", args: [], does: "shows those present" },
      { verb: "rescan", args: ["--bus", "all"], does: "looks for new ones" },
    ],
  };

  test("for a function that is not there, also when another error wraps it", () => {
    const bus = thrown(() => readFunction("ffff:ff:1f.7")) as BusError;
    expect(bus).toBeInstanceOf(BusError);
    expect([bus.message, bus.remedies]).toEqual([absent.text, absent.remedies]);
    const device = thrown(() => openDevice("sysfs:ffff:ff:1f.7")) as DeviceError;
    expect(device).toBeInstanceOf(DeviceError);
    expect([device.message, device.remedies]).toEqual([
      `sysfs:ffff:ff:1f.7: ${absent.text}`,
      absent.remedies,
    ]);
    expect(wordError(device, "binary")).toBe(
      `sysfs:ffff:ff:1f.7: ${absent.text}; vfiokit list shows those present, and vfiokit rescan --bus all looks for new ones`,
    );
    expect(new UsageError("wrapped", { cause: device }).remedies).toEqual(absent.remedies);
  });

  test("for a socket that is not there", () => {
    expect(thrown(() => openDevice("vfio-user:/nope"))).toMatchObject({
      message: "vfio-user:/nope: connect to /nope: ENOENT: no such socket; start the server first",
      remedies: [{ verb: "model", args: ["--socket", "/nope"] }],
    });
  });

  test("and has none where nothing of the toolkit helps", () => {
    expect(new BusError("no").remedies).toEqual([]);
    expect(wordError(new Error("no"), "clone")).toBe("no");
    expect(wordError("no", "clone")).toBe("no");
  });
});

test("encode.ts names the options for what an input, or an output's name, does not say", () => {
  const error = new MediaError("x.y4m does not say it. Give it", { missing: ["fps", "format"] });
  expect(wordMediaError(error)).toBe("x.y4m does not say it. Give it: --fps N[/D] --format FORMAT");
  const unnamed = new MediaError("out has no ending. Say it", { missing: ["container"] });
  expect(wordMediaError(unnamed)).toBe("out has no ending. Say it: --container ivf|webm");
  expect(wordMediaError(new MediaError("no"))).toBe("no");
});

/** Each source file as the program has it, line by line: without comments and types, and without other programs' options. */
const transpiler = new Bun.Transpiler({ loader: "ts" });
const sources = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => ({ path: join("src", name), text: readFileSync(join(ROOT, "src", name), "utf8") }));
const lines = sources.flatMap(({ path, text }) =>
  transpiler
    .transformSync(text)
    .split("\n")
    .map((line) => ({ path, line: line.trim().replace(/\b(docker run|prlimit)( --[\w=-]+)+/, "$1") })),
);

describe("no text of src", () => {
  const found = (wrong: RegExp) =>
    lines.filter(({ line }) => wrong.test(line)).map(({ path, line }) => `${path}: ${line}`);

  test("names a command of ours", () => {
    const names = [...verbNames, ...packageVerbNames, ...cloneVerbs].join("|");
    const command = new RegExp(`\\bbun run\\b|(?<![\\w./-])(${names})\\.ts\\b|\\bvfiokit (${names})\\b`);
    for (const text of ['"see bun run list.ts"', "`it was set by bind.ts`", '"vfiokit doctor tells"'])
      expect(text).toMatch(command);
    expect(lines.length).toBeGreaterThan(10_000);
    expect(found(command)).toEqual([]);
  });

  test("names an option in a sentence, but with the program that it is of", () => {
    const option = / --[a-z]|["`(]--[a-z-]+[ )]/;
    for (const text of ['"is --bar right?"', '"use DMA (--path dma)"', '"--force binds it"'])
      expect(text).toMatch(option);
    expect(found(option)).toEqual([]);
  });
});

test("the remedies in src name verbs that there are", () => {
  const named = sources.flatMap(({ text }) =>
    [...text.matchAll(/\bverb: "(\w+)"/g)].map((match) => match[1]!),
  );
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((name) => !(verbNames as readonly string[]).includes(name))).toEqual([]);
});
