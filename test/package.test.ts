/** What the package is to a stranger who installs it, and what package-lock.json must be for npm to install from it anywhere. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bunPackages } from "../scripts/build/bun-packages.ts";
import { bash, npmInstall, type Packed, pack, root, succeed } from "./packed.ts";

const SLOW_MS = 180_000;
setDefaultTimeout(SLOW_MS);
const tsc = join(root, "node_modules/.bin/tsc");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly version: string;
  readonly scripts: Readonly<Record<string, string>>;
};

interface Package {
  readonly version?: string;
  readonly resolved?: string;
  readonly libc?: unknown;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
  readonly packages: Readonly<Record<string, Package>>;
};

test("the lock file has what each package needs on other machines, or npm ci refuses it", () => {
  const wanted = Object.values(lock.packages).flatMap(({ optionalDependencies = {} }) =>
    Object.keys(optionalDependencies),
  );
  expect(wanted).toContain("@oven/bun-linux-aarch64-musl");
  expect(wanted.filter((name) => lock.packages[`node_modules/${name}`]?.version === undefined)).toEqual([]);
});

test("the lock file names no registry, and no C library: npm before 11 drops those lines when it installs", () => {
  const entries = Object.entries(lock.packages);
  expect(entries.filter(([, { resolved, libc }]) => resolved !== undefined || libc !== undefined)).toEqual(
    [],
  );
});

test("what guests and binaries get as Bun is what the lock file has", () => {
  // scripts/build/bun-packages.ts writes it.
  expect(readFileSync(join(root, "src/guest/bun-packages.json"), "utf8")).toBe(bunPackages());
});

test("the types that tests and declarations are checked with are dependencies of their own", () => {
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  expect(devDependencies).toHaveProperty("@types/bun");
  expect(devDependencies).toHaveProperty("bun-types");
});

/** What each door gives when it is imported; types are taken from the door's own file. */
const doors: Readonly<Record<string, readonly string[]>> = {
  ".": [
    "DeviceError",
    "Encoder",
    "EncoderError",
    "WindowTooSmall",
    "encodeFrames",
    "openDevice",
    "openEncoder",
    "openRegisters",
  ],
  "./bus": [
    "BusError",
    "DeviceError",
    "ResourceFlag",
    "bind",
    "bindAll",
    "boundAddresses",
    "canonicalAddress",
    "commandBits",
    "disable",
    "enable",
    "findFunctions",
    "findUses",
    "functionNamed",
    "functionsNamed",
    "groupMembers",
    "groupNode",
    "isAddress",
    "isForUserSpace",
    "isVfioDriver",
    "judgeGroup",
    "listFunctions",
    "listPhysicalFunctions",
    "planBind",
    "planBindAll",
    "readFunction",
    "readPhysicalFunction",
    "release",
    "rescan",
    "reset",
    "resetMethods",
    "resizableBars",
    "resizeBar",
    "setVirtualFunctions",
    "withResetMethod",
  ],
  "./decode": ["DumpError", "decodeConfig", "describe", "doesAnswer", "openNames", "readDump"],
  "./doctor": ["BusError", "examine", "examineFunction", "examineSystem", "gatherFunction", "gatherSystem"],
  "./registers": [
    "fieldMask",
    "findMistake",
    "getField",
    "openRegisters",
    "packFields",
    "readRegisters",
    "registerName",
    "registersAsJson",
    "registersMarkdown",
    "showRegisters",
    "unpackFields",
    "valueName",
  ],
  "./model": [
    "DeviceError",
    "DmaMapError",
    "EventFd",
    "FaultPlan",
    "Fd",
    "SystemError",
    "advancedErrorReporting",
    "buildConfigSpace",
    "defineModel",
    "isModelSpec",
    "listFaultKinds",
    "msi",
    "msix",
    "namedModels",
    "openModel",
    "parseFaults",
    "parseModelSpec",
    "pciExpress",
    "powerManagement",
    "registerModel",
    "serve",
    "serveModel",
    "startModel",
    "startTrustingModel",
  ],
  "./guest": [
    "GuestError",
    "MissingToolError",
    "OptionError",
    "UnknownDevice",
    "arches",
    "bootGuest",
    "deviceNames",
    "hostArch",
    "knownDevices",
    "runGuest",
  ],
  "./media": [
    "MILLISECONDS",
    "MediaError",
    "OutputFile",
    "builtInClip",
    "checkFps",
    "checkPixelAspect",
    "checkSize",
    "containerFor",
    "frameSizeBytes",
    "frameTimeUs",
    "ivfWriter",
    "openFrameSource",
    "openPacketWriter",
    "parseY4mHeader",
    "toTicks",
    "vp9CodecString",
    "webmWriter",
    "writerFor",
    "y4mRate",
  ],
  "./mediabunny": ["DeviceError", "EncoderError", "registerVfiokitEncoder"],
  "./vp9": [
    "COMPLETION_BYTES",
    "Completion",
    "CompletionFlag",
    "CompletionStatus",
    "DEFAULT",
    "DEFAULT_DEVICE",
    "DeviceError",
    "EncodeFileError",
    "Encoder",
    "EncoderError",
    "EndpointDriver",
    "FrameBuffer",
    "INTERFACE_MAJOR",
    "INTERFACE_MINOR",
    "MAGIC",
    "Opcode",
    "PCI_ID",
    "REGISTER_BYTES",
    "SEGMENT_BYTES",
    "SUBMISSION_BYTES",
    "Segment",
    "Submission",
    "SubmitFlag",
    "WINDOW_BYTES",
    "WindowTooSmall",
    "completionFields",
    "completionStatusName",
    "completionStatuses",
    "describeFailure",
    "encodeFile",
    "encodeFrames",
    "opcodes",
    "openEncoder",
    "registers",
    "segmentFields",
    "submissionFields",
  ],
};

describe("The packed package", () => {
  let packed: Packed;
  /** Folders that it is installed in. */
  let byNpm: string;
  let byBun: string;
  beforeAll(async () => {
    packed = await pack();
    byNpm = packed.project("npm");
    await succeed(byNpm, npmInstall, packed.tarball);
    byBun = packed.project("bun");
    await succeed(byBun, '"$1" add "$2"', process.execPath, packed.tarball);
    for (const folder of [byNpm, byBun]) {
      writeFileSync(join(folder, "doors.ts"), importsOfAll());
      writeFileSync(join(folder, "keys.ts"), keysOfAll());
    }
  });
  afterAll(() => packed[Symbol.dispose]());

  test("has doors, declarations and verbs, and nothing that needs a clone", () => {
    const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    for (const door of Object.values<string | Record<string, string>>(exports))
      for (const path of Object.values(typeof door === "string" ? [door] : door))
        expect(packed.files).toContain(path.replace("./", ""));
    expect(Object.keys(exports).sort()).toEqual([...Object.keys(doors), "./package.json"].sort());
    expect(
      packed.files.filter((path) => /^test|^scripts\/(bench|campaign|docs)|tsconfig|package-lock/.test(path)),
    ).toEqual([]);
  });

  test.each(["nodenext", "bundler"])(
    "type-checks with every declaration under %s, with no other types installed",
    async (resolution) => {
      const options = {
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
        module: resolution === "bundler" ? "esnext" : resolution,
        moduleResolution: resolution,
        // Neither the newest language nor the DOM.
        target: "es2022",
        lib: ["es2022"],
        types: [],
      };
      for (const folder of [byNpm, byBun]) {
        const config = join(folder, `tsconfig.${resolution}.json`);
        writeFileSync(config, JSON.stringify({ compilerOptions: options, files: ["doors.ts"] }));
        const { exitCode, stdout } = await bash(folder, '"$1" -p "$2"', tsc, config);
        expect(stdout).toBe("");
        expect(exitCode).toBe(0);
      }
    },
  );

  test("gives what it says at each door, and nothing else", async () => {
    for (const folder of [byNpm, byBun]) {
      expect(JSON.parse(await succeed(folder, "node_modules/.bin/bun keys.ts"))).toEqual(doors);
      expect(await succeed(folder, "node_modules/.bin/bun doors.ts")).toBe("undefined: \n");
    }
  });

  test("has its verbs as npx vfiokit and as bunx vfiokit", async () => {
    const version = await succeed(byNpm, "npx vfiokit --version");
    expect(version).toBe(`vfiokit ${manifest.version}, Bun ${Bun.version}\n`);
    expect(await succeed(byBun, '"$1" x vfiokit --version', process.execPath)).toBe(version);
    for (const folder of [byNpm, byBun]) {
      expect(Array.isArray(JSON.parse(await succeed(folder, "npx vfiokit list --json")))).toBe(true);
      await succeed(folder, "npx vfiokit encode --frames 3 --quiet -o x.webm");
      expect(readFileSync(join(folder, "x.webm")).subarray(0, 4).toString("hex")).toBe("1a45dfa3"); // EBML
    }
  });

  test("calls its verbs in its texts as they are called there", async () => {
    for (const verb of ["list", "guest", "build"]) {
      const help = await succeed(byNpm, `npx vfiokit ${verb} --help`);
      expect(help).toContain(`vfiokit ${verb}`);
      expect(help).not.toMatch(/bun run|\b\w+\.ts\b/);
    }
  });

  test.each(["bench", "campaign", "docs"])("says of %s that it needs a clone", async (verb) => {
    const { exitCode, stderr } = await bash(byNpm, `npx vfiokit ${verb}`);
    expect(stderr).toContain(`${verb} is not in the package: it needs a clone of the project`);
    expect(exitCode).toBe(2);
  });

  test("runs when it is installed globally, and through a link to it", async () => {
    const folder = packed.project("global");
    await succeed(folder, `${npmInstall} --global --prefix .`, packed.tarball);
    await succeed(folder, "ln -s bin/vfiokit again");
    for (const command of ["bin/vfiokit", "./again"])
      expect(await succeed(folder, `${command} --version`)).toStartWith("vfiokit ");
  });

  test("finds a Bun where no script has run that brings it, or none came, or says so", async () => {
    const folder = packed.project("bare");
    await succeed(folder, `${npmInstall} --ignore-scripts`, packed.tarball);
    expect(await succeed(folder, "npx vfiokit --version")).toStartWith("vfiokit ");
    rmSync(join(folder, "node_modules/@oven"), { recursive: true });
    const { exitCode, stderr } = await bash(folder, "npx vfiokit --version");
    expect(stderr).toMatch(
      /^vfiokit: there is no Bun to run it, .*; npm install bun, where vfiokit is installed/,
    );
    expect(exitCode).toBe(1);
    const withBun = 'mkdir path; ln -s "$1" path/bun; PATH=$PWD/path:$PATH npx vfiokit --version';
    expect(await succeed(folder, withBun, process.execPath)).toStartWith("vfiokit ");
  });

  test("builds a standalone binary", async () => {
    const target = `linux-${process.arch}`;
    await succeed(byNpm, 'npx vfiokit build --target "$1"', target);
    const version = await succeed(byNpm, 'dist/vfiokit-"$1" --version', target);
    expect(version).toBe(`vfiokit ${manifest.version} for ${target}, Bun ${Bun.version}\n`);
  });

  /** What bash puts on the line for the words before the cursor, of which the last one is completed. */
  async function completed(...words: string[]): Promise<string[]> {
    const ask = `export PATH=$PWD/node_modules/.bin:$PATH
      source <(vfiokit complete bash)
      complete -p vfiokit > /dev/null
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
      _vfiokit vfiokit "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD - 1]}"
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    return (await succeed(byNpm, ask, "vfiokit", ...words)).split("\n").filter(Boolean);
  }

  test("completes verbs, options and choices in bash, and leaves files to it", async () => {
    const verbs = Object.keys(manifest.scripts).flatMap((name) => /^(.*)\.ts$/.exec(name)?.[1] ?? []);
    const here = verbs.filter((verb) => !["bench", "campaign", "docs"].includes(verb));
    expect((await completed("")).sort()).toEqual([...here, "complete"].sort());
    expect(await completed("en")).toEqual(["encode", "enable"]);
    for (const verb of here) expect(await completed(verb, "--he")).toEqual(["--help"]);
    expect(await completed("bind", "--d")).toEqual(["--driver", "--dry-run"]);
    expect(await completed("encode", "-")).toContain("-o");
    expect(await completed("guest", "--arch", "")).toEqual(["x86_64", "aarch64"]);
    expect(await completed("encode", "--rc", "=", "c")).toEqual(["cbr", "cq"]);
    expect(await completed("encode", "doo")).toEqual([]);
    expect(await completed("encode", "-o", "")).toEqual([]);
    expect(await completed("guest", "--", "--a")).toEqual([]);
    expect(await completed("encode", "$(echo --rc > evaluated)", "--rc")).toEqual(["--rc"]);
    expect(existsSync(join(byNpm, "evaluated"))).toBe(false);
  });

  test("completes for shells that give a choice with its option as one word, zsh and fish", async () => {
    expect(await succeed(byNpm, "npx vfiokit complete -- encode --rc=c")).toBe("--rc=cbr\n--rc=cq\n");
    for (const shell of ["zsh", "fish"])
      expect(await succeed(byNpm, `npx vfiokit complete ${shell}`)).toContain("complete -- ");
  });
});

const specifier = (door: string) => `vfiokit${door.slice(1)}`;

/** A program that imports every name of every door, types as well. */
function importsOfAll(): string {
  const lines = Object.entries(doors).map(([door, names], index) => {
    const file = door === "." ? "src/index.ts" : `src/exports/${door.slice(2)}.ts`;
    const text = readFileSync(join(root, file), "utf8");
    const exported = [...text.matchAll(/^export (type )?\{([^}]*)\}/gm)].flatMap(([, all, list]) =>
      list!.split(",").flatMap((item) => {
        const [, type, name] = /^\s*(type )?(?:\w+ as )?(\w+)\s*$/.exec(item) ?? [];
        return name === undefined ? [] : [{ name, isType: all !== undefined || type !== undefined }];
      }),
    );
    const values = exported.filter(({ isType }) => !isType).map(({ name }) => name);
    if (values.sort().join() !== [...names].sort().join()) throw new Error(`${file} exports ${values}`);
    const items = exported.map(({ name, isType }) => `${isType ? "type " : ""}${name} as ${name}_${index}`);
    return `import { ${items.join(", ")} } from "${specifier(door)}";
      const values${index}: Record<string, unknown> = { ${names.map((name) => `${name}_${index}`).join(", ")} };`;
  });
  const all = Object.keys(doors).map((_, index) => `...Object.entries(values${index})`);
  return `${lines.join("\n")}
    declare const console: { log(text: string): void };
    const missing = [${all.join(", ")}].filter(([, value]) => value === undefined).map(([name]) => name);
    console.log(\`undefined: \${missing.join()}\`);`;
}

/** A program that prints what each door gives. */
function keysOfAll(): string {
  const entries = Object.keys(doors).map(
    (door) => `[${JSON.stringify(door)}]: Object.keys(await import("${specifier(door)}")).sort()`,
  );
  return `console.log(JSON.stringify({ ${entries.join(", ")} }));`;
}
