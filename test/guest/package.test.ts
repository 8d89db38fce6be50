/** Guests of the packed package: installed from npm, with nothing of this checkout. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bash, npmInstall, type Packed, pack, root, succeed } from "../packed.ts";

const TIMEOUT_MS = 300_000;
const EDU = "1234:11e8";

let packed: Packed;
beforeAll(async () => {
  packed = await pack();
}, TIMEOUT_MS);
// It removes folders of packages: some seconds on a busy machine.
afterAll(() => packed[Symbol.dispose](), TIMEOUT_MS);

test(
  "a guest has the project that vfiokit is installed in, and vfiokit on its PATH",
  async () => {
    const folder = packed.project("project");
    await succeed(folder, npmInstall, packed.tarball);
    expect(await succeed(folder, "npx vfiokit guest --device edu -- vfiokit list --id 1234:")).toContain(EDU);
    const drive = "vfiokit bind 00:01.0 && vfiokit peek 00:01.0 0:0 && vfiokit release 00:01.0";
    expect(await succeed(folder, 'npx vfiokit guest --device edu -- sh -c "$1"', drive)).toContain(
      "0x010000ed",
    );

    writeFileSync(
      join(folder, "drive.ts"),
      `import { listFunctions } from "vfiokit/bus";
       console.log(import.meta.path, listFunctions().some(({ vendor }) => vendor === 0x1234));`,
    );
    mkdirSync(join(folder, "work")); // The guest's working directory has another place.
    // From a folder of the project, with the file in the project and brought into the working directory.
    const command = `npx vfiokit guest --device edu --in ../drive.ts -- \
      sh -c 'pwd; bun drive.ts; bun /project/drive.ts; ls -d /project/work'`;
    expect(await succeed(join(folder, "work"), command)).toBe(
      "/work\n/work/drive.ts true\n/project/drive.ts true\n/project/work\n",
    );
  },
  TIMEOUT_MS,
);

test(
  "a guest of a vfiokit that is installed elsewhere has that and the folder it is called in",
  async () => {
    const [elsewhere, folder] = [packed.project("global"), packed.project("here")];
    await succeed(elsewhere, `${npmInstall} --global --prefix .`, packed.tarball);
    writeFileSync(join(folder, "note"), "from here\n");
    const command = `"$1/bin/vfiokit" guest --device edu -- sh -c 'cat /project/note && vfiokit list --id 1234:'`;
    const printed = await succeed(folder, command, elsewhere);
    expect(printed).toStartWith("from here\n");
    expect(printed).toContain(EDU);
  },
  TIMEOUT_MS,
);

test(
  "a program that imports vfiokit/guest runs commands in guests",
  async () => {
    const folder = packed.project("library");
    await succeed(folder, npmInstall, packed.tarball);
    writeFileSync(
      join(folder, "run.ts"),
      `import { runGuest } from "vfiokit/guest";
       let printed = "";
       const { exitCode } = await runGuest({
         arch: "aarch64",
         command: ["sh", "-c", "uname -m; vfiokit list --id 1234:; exit 7"],
         devices: ["edu"],
         onStdout: (bytes) => { printed += new TextDecoder().decode(bytes); },
       });
       console.log(exitCode, printed);`,
    );
    const printed = await succeed(folder, "node_modules/.bin/bun run.ts");
    expect(printed).toStartWith("7 aarch64\n");
    expect(printed).toContain(EDU);
  },
  TIMEOUT_MS,
);

test(
  "what docs/package.md shows is what comes out",
  async () => {
    const folder = packed.project("document");
    await succeed(folder, npmInstall, packed.tarball);
    const text = readFileSync(join(root, "docs/package.md"), "utf8");
    const blocks = (language: string) =>
      [...text.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map((match) => match[1]!);
    writeFileSync(join(folder, "example.ts"), blocks("ts")[0]!);
    const steps = blocks("console").flatMap((block) => block.split(/^\$ /m).slice(1));
    expect(steps.length).toBe(5);
    for (const step of steps) {
      const [command, ...shown] = step.split("\n");
      expect(await succeed(folder, command!)).toBe(shown.join("\n"));
    }
  },
  TIMEOUT_MS,
);

test(
  "the counter's tests pass in process, over a socket and in both guests, and import only vfiokit",
  async () => {
    const folder = packed.project("counter");
    await succeed(folder, npmInstall, packed.tarball);
    cpSync(join(folder, "node_modules/vfiokit/examples/counter"), folder, { recursive: true });
    const { exitCode, stderr } = await bash(folder, "npx bun test");
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: expect.stringContaining(" 4 pass\n 0 fail\n"),
    });

    // A register table in a driver's file, which imports the library.
    const table = "node_modules/vfiokit/examples/edu/edu.ts";
    expect(await succeed(folder, `npx vfiokit regs model:vp9 IDENTITY --table ${table}`)).toContain(
      "0x45395056",
    );

    const lines = (name: string) => readFileSync(join(folder, name), "utf8").trimEnd().split("\n");
    expect(lines("counter.model.ts").length).toBeLessThanOrEqual(45);
    expect(lines("counter.ts").length).toBeLessThanOrEqual(25);
    const sources = ["registers.ts", "counter.model.ts", "counter.ts", "counter.test.ts"].flatMap(lines);
    const imported = sources.flatMap((line) => / from "([^"]+)"/.exec(line)?.[1] ?? []);
    for (const name of new Set(imported)) expect(name).toMatch(/^(vfiokit(\/\w+)?|bun:test|\.\/[\w.]+)$/);
  },
  TIMEOUT_MS,
);
