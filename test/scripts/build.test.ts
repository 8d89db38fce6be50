/** build.ts, and the binary that it makes of all verbs, run where nothing of the project and no Bun is. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { openDevice } from "../../src/device/open.ts";
import { LIBVPX_LICENCE } from "../../src/vp9/codec/libvpx-licence.ts";
import { MAGIC } from "../../src/vp9/contract/registers.ts";
import { tempFolder } from "../media/rig.ts";
import { withoutNetwork } from "./fresh-machine.ts";
import { type Ended, encode, ROOT, type Running, start, startScript, until } from "./rig.ts";

// The first one fetches Bun for the other machines.
setDefaultTimeout(300_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

const here = `linux-${process.arch}`;
/** What each is for: the machine of its ELF header, and the program that loads it. */
const machines = {
  "linux-x64": [62, "/lib64/ld-linux-x86-64.so.2"],
  "linux-x64-musl": [62, "/lib/ld-musl-x86_64.so.1"],
  "linux-arm64": [183, "/lib/ld-linux-aarch64.so.1"],
  "linux-arm64-musl": [183, "/lib/ld-musl-aarch64.so.1"],
} as const;
const binary = folder.file(`dist/vfiokit-${here}`);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

interface Manifest {
  readonly version: string;
  readonly scripts: Readonly<Record<string, string>>;
}
const manifest = (await Bun.file(join(ROOT, "package.json")).json()) as Manifest;
/** Each needs a clone. */
const without = ["guest", "bench", "campaign", "docs", "build"];
const verbs = Object.keys(manifest.scripts)
  .flatMap((name) => /^(.*)\.ts$/.exec(name)?.[1] ?? [])
  .filter((name) => !without.includes(name));

let built: Ended;
beforeAll(async () => {
  built = await startScript("build.ts", "--outdir", folder.file("dist"), "--json").ended();
  mkdirSync(folder.file("away"));
  // What Bun would read where it is started.
  writeFileSync(folder.file("away/bunfig.toml"), 'preload = ["./preload.ts"]\n');
  writeFileSync(folder.file("away/preload.ts"), 'console.log("preloaded");\n');
});

/** Starts the binary in a folder of its own, with no Bun on the PATH. */
function startVfiokit(...args: string[]): Running {
  const line = 'cd "$0" && PATH=/usr/bin:/bin exec "$@"';
  return start(["bash", "-c", line, folder.file("away"), binary, ...args]);
}

const vfiokit = (...args: string[]): Promise<Ended> => startVfiokit(...args).ended();

test("build.ts makes a binary for each machine in one go", () => {
  const { exitCode, stdout } = built;
  expect(exitCode).toBe(0);
  const expected = Object.keys(machines).map((target) => {
    const path = folder.file(`dist/vfiokit-${target}`);
    return { target, path, sizeBytes: Bun.file(path).size };
  });
  expect(JSON.parse(text(stdout))).toEqual(expected);
  for (const [target, [machine, loader]] of Object.entries(machines)) {
    const head = Buffer.alloc(4096);
    const fd = openSync(folder.file(`dist/vfiokit-${target}`), "r");
    readSync(fd, head);
    closeSync(fd);
    expect({ target, machine: head.readUInt16LE(18) }).toEqual({ target, machine });
    expect(head.toString("latin1")).toContain(`${loader}\0`);
  }
});

test("build.ts refuses what it can't build, and names what it can", async () => {
  const wrong = await startScript("build.ts", "--target", here, "--target", "linux-riscv64").ended();
  expect(wrong.exitCode).toBe(2);
  expect(wrong.stderr).toContain(
    `--target linux-riscv64: it must be one of ${Object.keys(machines).join(", ")}`,
  );
  const nowhere = await startScript("build.ts", "--target", here, "--outdir", "/dev/null/dist").ended();
  expect(nowhere.exitCode).toBe(1);
  expect(nowhere.stderr).toContain(
    "the folder /dev/null/dist can't be created (ENOTDIR); --outdir names another",
  );
});

test("build.ts says what builds a binary where libvpx can't be downloaded", async () => {
  const cache = `XDG_CACHE_HOME=${folder.file("empty")}`;
  const command = ["env", cache, "bun", "run", "build.ts", "--target", here, "--outdir", folder.file("no")];
  const { exitCode, stderr } = await start(withoutNetwork(command)).ended();
  expect(stderr).toMatch(/Debian's libvpx for \w+ can't be had: \S+ does not answer \(.*\)\n/);
  expect(stderr).toContain("--without-libvpx builds binaries that use the libvpx of the machine");
  expect(exitCode).toBe(1);
  expect(existsSync(folder.file(`no/vfiokit-${here}`))).toBe(false);
});

describe("the binary", () => {
  test("says its version, what it is for, and the Bun in it", async () => {
    const { exitCode, stdout } = await vfiokit("--version");
    expect(text(stdout)).toBe(`vfiokit ${manifest.version} for ${here}, Bun ${Bun.version}\n`);
    expect(exitCode).toBe(0);
  });

  test("lists every verb, with what it does", async () => {
    const { exitCode, stdout } = await vfiokit("--help");
    const listed = text(stdout)
      .split("COMMANDS")[1]!
      .split("\n")
      .flatMap((line) => /^ +(\w+) {2,}[A-Z]\w+/.exec(line)?.[1] ?? []);
    expect(listed.sort()).toEqual(verbs.sort());
    expect(exitCode).toBe(0);
  });

  test("has the help of each, in which it is called as there", async () => {
    for (const verb of verbs) {
      const { exitCode, stdout, stderr } = await vfiokit(verb, "--help");
      expect({ verb, exitCode, stderr }).toEqual({ verb, exitCode: 0, stderr: "" });
      expect(text(stdout)).toContain(`USAGE vfiokit ${verb} `);
      expect(text(stdout)).toContain(`\n  ${verb === "info" ? "sudo " : ""}vfiokit ${verb}`);
      expect(text(stdout)).not.toMatch(new RegExp(`bun run|(?<![\\w./])(${verbs.join("|")})\\.ts`));
    }
  });

  test("lists what list.ts lists", async () => {
    const [ours, theirs] = await Promise.all([
      vfiokit("list", "--json"),
      startScript("list.ts", "--json").ended(),
    ]);
    expect(text(ours.stdout)).toBe(text(theirs.stdout));
    expect(ours.exitCode).toBe(0);
  });

  test.each(["ivf", "webm"])("encodes to the bytes of encode.ts, as %s", async (ending) => {
    const [ours, theirs] = [folder.file(`ours.${ending}`), folder.file(`theirs.${ending}`)];
    const { exitCode, stdout, stderr } = await vfiokit("encode", "-o", ours);
    expect(text(stdout)).toMatch(/^50 frames \(1 key\), /);
    expect(stderr).toMatch(/^\S* ?no card found; using the software model \(libvpx [\d.]+\)\n$/);
    expect(exitCode).toBe(0);
    expect((await encode("-o", theirs)).exitCode).toBe(0);
    expect(readFileSync(ours).equals(readFileSync(theirs))).toBe(true);
  });

  /** The command where no libvpx is installed, nothing is cached and no network answers. */
  const alone = (...args: string[]) => {
    mkdirSync(folder.file("tmp"), { recursive: true });
    const places = [`XDG_CACHE_HOME=${folder.file("cache")}`, `TMPDIR=${folder.file("tmp")}`];
    return start(withoutNetwork(["env", ...places, binary, ...args])).ended();
  };
  const leftInTmp = () => readdirSync("/tmp").filter((name) => name.startsWith(".bun-"));

  test("encodes without any libvpx but its own, to the bytes of Debian's, and leaves no file", async () => {
    const before = leftInTmp();
    const [own, debian] = [folder.file("own-libvpx.ivf"), folder.file("debian.ivf")];
    const { exitCode, stderr } = await alone("encode", "-o", own);
    expect(stderr).toMatch(/^\S* ?no card found; using the software model \(libvpx 1\.15\.\d+\)\n$/);
    expect(exitCode).toBe(0);
    expect((await encode("--codec", "debian", "-o", debian)).exitCode).toBe(0);
    expect(readFileSync(own).equals(readFileSync(debian))).toBe(true);
    expect(readdirSync(folder.file("tmp"))).toEqual([]);
    expect(leftInTmp()).toEqual(before);
    expect(existsSync(folder.file("cache/vfiokit"))).toBe(false);
  });

  test("takes its own libvpx where there is another if it is asked to", async () => {
    const [own, debian] = [folder.file("asked.ivf"), folder.file("debian.ivf")];
    const { exitCode, stderr } = await vfiokit("encode", "--codec", "embedded", "-o", own);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: expect.stringMatching(/a codec was chosen; using the software model \(libvpx 1\.15\.\d+\)/),
    });
    expect(readFileSync(own).equals(readFileSync(debian))).toBe(true);
  });

  test("says in --codec help that it has libvpx, which one is used, and libvpx's licence", async () => {
    const { exitCode, stdout } = await alone("encode", "--codec", "help");
    expect(exitCode).toBe(0);
    expect(text(stdout)).toMatch(/\n {12}libvpx v1\.15\.\d+, in this binary <- used\n/);
    expect(text(stdout)).toEndWith(`\n\nThe embedded libvpx:\n\n${LIBVPX_LICENCE}\n`);
    const { auto, licence } = JSON.parse(text((await alone("encode", "--codec", "help", "--json")).stdout));
    expect({ auto, licence }).toEqual({ auto: "embedded", licence: LIBVPX_LICENCE });
  });

  test("is without libvpx where it is built so, and says so", async () => {
    const slim = folder.file("slim");
    const options = ["--target", here, "--outdir", slim, "--without-libvpx"];
    expect((await startScript("build.ts", ...options).ended()).exitCode).toBe(0);
    const path = join(slim, `vfiokit-${here}`);
    expect(Bun.file(binary).size - Bun.file(path).size).toBeGreaterThan(2_000_000);
    const output = folder.file("none.ivf");
    const { exitCode, stderr } = await start([path, "encode", "--codec", "embedded", "-o", output]).ended();
    expect(stderr).toContain("embedded: this binary was built without it\n");
    expect(exitCode).toBe(1);
  });

  test("is without libav.js, and says so", async () => {
    // What it would find where it is started.
    const name = "@libav.js/variant-webm-vp9";
    mkdirSync(folder.file(`away/node_modules/${name}`), { recursive: true });
    writeFileSync(folder.file(`away/node_modules/${name}/index.js`), 'console.error("loaded");\n');
    const output = folder.file("none.ivf");
    const { exitCode, stderr } = await vfiokit("encode", "--codec", "libav.js", "-o", output);
    expect(stderr).toContain(
      "libav.js: a standalone binary does not include it; use libvpx, or a clone of the project\n",
    );
    expect(stderr).not.toContain("loaded");
    expect(exitCode).toBe(1);
  });

  test("reads a register table from a driver's file, which imports the library", async () => {
    const table = join(ROOT, "examples/edu/edu.ts");
    writeFileSync(folder.file("away/driver.ts"), readFileSync(table));
    const words = ["model:vp9", "IDENTITY", "--table", "driver.ts", "--json"];
    const { exitCode, stdout, stderr } = await vfiokit("regs", ...words);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(JSON.parse(text(stdout))).toMatchObject({
      table: "driver.ts",
      registers: { IDENTITY: { value: "0x45395056" } },
    });
  });

  test("opens a user's model, whose file imports the library", async () => {
    const model = readFileSync(join(ROOT, "examples/counter/counter.model.ts"));
    writeFileSync(folder.file("away/counter.model.ts"), model);
    writeFileSync(
      folder.file("away/registers.ts"),
      readFileSync(join(ROOT, "examples/counter/registers.ts")),
    );
    const words = ["model:./counter.model.ts", "IDENTITY", "--table", "registers.ts"];
    const { exitCode, stdout, stderr } = await vfiokit("regs", ...words);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(text(stdout)).toBe("0x000  IDENTITY  0xc0de0001  3235774465\n");
  });

  test.each<[string[], RegExp]>([
    [[], /the verb is missing; see --help/],
    [["encoder"], /unknown verb "encoder"; see --help/],
    [["list.ts"], /unknown verb "list\.ts"/],
    [["toString"], /unknown verb "toString"/],
    [["guest", "true"], /guest is not in this program; the npm package has it: npm install vfiokit/],
    [["list", "--frob"], /unknown option --frob; see --help/],
    [["encode"], /say where the video goes: -o OUT\.webm/],
    [["regs"], /the device is missing; --help has examples/],
  ])("refuses %j with exit code 2", async (words, message) => {
    const { exitCode, stdout, stderr } = await vfiokit(...words);
    expect(text(stdout)).toBe("");
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(2);
  });

  test("says in its errors what to type there", async () => {
    const { exitCode, stderr } = await vfiokit("bind", "ffff:ff:1f.7");
    expect(stderr).toContain("there is no PCI function ffff:ff:1f.7; vfiokit list shows those present");
    expect(exitCode).toBe(1);
  });

  test("serves the model over vfio-user, for another one to encode with", async () => {
    const socket = folder.file("vp9.sock");
    const server = startVfiokit("model", "--socket", socket);
    await until(() => existsSync(socket), "the server's socket");
    const [served, own] = [folder.file("served.ivf"), folder.file("own.ivf")];
    expect((await vfiokit("encode", "-o", served, "--device", `vfio-user:${socket}`)).exitCode).toBe(0);
    expect((await vfiokit("encode", "-o", own)).exitCode).toBe(0);
    expect(readFileSync(served).equals(readFileSync(own))).toBe(true);
    server.signalGroup("SIGINT");
    expect((await server.ended()).exitCode).toBe(0);
    expect(existsSync(socket)).toBe(false);
  });

  test("serves the model with a standby that goes on as a dead device when the model is killed", async () => {
    const socket = folder.file("mortal.sock");
    const server = startVfiokit("model", "--socket", socket, "--standby", "--codec", "null");
    await until(() => existsSync(socket), "the server's socket");
    await until(() => server.find("standby-program").length === 1, "the standby");
    const device = openDevice(`vfio-user:${socket}`);
    expect(device.bars[0]!.read32(0)).toBe(MAGIC);
    for (const pid of server.find(" model --socket")) process.kill(pid, "SIGKILL");
    await until(() => server.find(" model --socket").length === 0, "the model to be gone");
    expect(device.bars[0]!.read32(0)).toBe(0xffff_ffff);
    device[Symbol.dispose]();
    await server.ended(); // the standby, too
  });
});
