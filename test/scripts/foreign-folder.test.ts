/** Verbs that are run in a folder of somebody else's take neither code nor settings from it. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { tempFolder } from "../media/rig.ts";
import { ROOT, until } from "./rig.ts";

setDefaultTimeout(60_000);

const launcher = join(ROOT, "bin/vfiokit");
const bun = join(ROOT, "node_modules/.bin/bun");
const encodeTs = join(ROOT, "scripts/encode.ts");

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
const [marker, output] = [folder.file("preloaded"), folder.file("out.ivf")];
beforeAll(() => {
  // With this cache folder Debian's libvpx can't be had.
  writeFileSync(folder.file(".env"), "XDG_CACHE_HOME=/dev/null/nowhere\n");
});

/** Runs a command in the folder, whose bunfig.toml has a file of its own run first where `preloads`. */
async function run(preloads: boolean, ...command: string[]) {
  writeFileSync(folder.file("evil.ts"), `require("node:fs").writeFileSync(${JSON.stringify(marker)}, "");\n`);
  rmSync(folder.file("bunfig.toml"), { force: true });
  if (preloads) writeFileSync(folder.file("bunfig.toml"), 'preload = ["./evil.ts"]\n');
  const child = Bun.spawn(command, {
    cwd: dirname(marker),
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { exitCode: await child.exited, stdout, stderr };
}

const encoding = ["--codec", "debian", "--frames", "2", "--quiet", "-o", output];

describe("bin/vfiokit", () => {
  test("runs no code of the folder, and reads no settings there, nor do the processes that it starts", async () => {
    expect(await run(true, launcher, "encode", ...encoding)).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    expect(existsSync(output)).toBe(true);
    expect(existsSync(marker)).toBe(false);
  });

  test("nor does a model that goes on serving", async () => {
    writeFileSync(folder.file("bunfig.toml"), 'preload = ["./evil.ts"]\n');
    const socket = folder.file("model.sock");
    const words = ["model", "--socket", socket, "--codec", "debian", "--standby", "--trust"];
    const child = Bun.spawn([launcher, ...words], {
      cwd: dirname(marker),
      stdio: ["ignore", "ignore", "ignore"],
    });
    try {
      await until(() => existsSync(socket) || child.exitCode !== null, "the model to serve");
      expect(child.exitCode).toBe(null);
      expect(existsSync(marker)).toBe(false);
    } finally {
      child.kill();
      await child.exited;
    }
  });

  test("can be reached through a link, and has every verb", async () => {
    const link = folder.file("vfiokit");
    symlinkSync(launcher, link);
    const { stdout, exitCode } = await run(false, link, "--help");
    expect(exitCode).toBe(0);
    for (const verb of ["encode", "list", "guest", "bench"]) expect(stdout).toContain(verb);
    expect((await run(false, link, "guest", "--help")).stdout).toContain("Boot a guest");
  });
});

describe("a verb's own file, run by Bun in the folder,", () => {
  test("drops what .env there has set", async () => {
    expect(await run(false, bun, encodeTs, ...encoding)).toMatchObject({ exitCode: 0, stderr: "" });
  });

  test("does nothing as root after a preload that Bun has run, and says what is safe", async () => {
    const { exitCode, stdout, stderr } = await run(true, bun, encodeTs, ...encoding);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toContain(`${launcher} VERB, which does not read it`);
  });
});
