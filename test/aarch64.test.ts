/**
 * The driver's side on aarch64: the accessors' machine code, system calls and structures, in Bun for aarch64 under
 * QEMU's user emulation, with the model as a native process. On an aarch64 machine the other tests are this test.
 */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { read32, write32 } from "../src/os/access.ts";
import { createMemfd, mapShared } from "../src/os/memory.ts";
import { startServer } from "./model/rig.ts";

const root = resolve(import.meta.dir, "..");
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "vfiokit");
const emulated = [
  ...["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"],
  join(cache, `bun-aarch64-${Bun.version}`),
];

async function runEmulated(args: string[], fd?: number): Promise<string> {
  const child = Bun.spawn([...emulated, ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe", fd ?? null],
  });
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`${args.join(" ")}: ${output}${errors}`);
  return output + errors;
}

if (process.arch === "x64") {
  test("it is Bun for arm64 that runs", async () => {
    expect(await runEmulated(["-p", "process.arch + Bun.version"])).toBe(`arm64${Bun.version}\n`);
  }, 60_000);

  test("each width and each copy of the accessors is right on aarch64, too", async () => {
    const output = await runEmulated(["test", "test/os/access.test.ts", "-t", "each width|copies move"]);
    expect(output).toContain(" 2 pass\n");
    expect(output).toContain(" 0 fail\n");
  }, 60_000);

  test("a hot polling loop on aarch64 sees what another process writes", async () => {
    using fd = createMemfd("aarch64-test", 4096);
    using shared = mapShared(fd.number, 4096);
    const program = `
      import { read32, write32 } from "./src/os/access.ts";
      import { mapShared } from "./src/os/memory.ts";
      const { address } = mapShared(3, 4096);
      for (let n = 1; n <= 5; n++) {
        const from = Date.now();
        while (read32(address) !== n) if (Date.now() - from > 20_000) throw new Error("never saw " + n);
        write32(address + 64, n);
      }`;
    const running = runEmulated(["-e", program], fd.number);
    for (let n = 1; n <= 5; n++) {
      // Long enough for its loop to be optimised.
      await Bun.sleep(200);
      write32(shared.address, n);
      while (read32(shared.address + 64) !== n) await Bun.sleep(1);
    }
    expect(await running).toBe("");
  }, 60_000);

  test.each(["dma", "window"])(
    "encode.ts on aarch64 makes the same bytes on the %s path",
    async (path) => {
      const folder = mkdtempSync(join(tmpdir(), "vfiokit-aarch64-"));
      try {
        await using server = await startServer();
        const encode = (output: string) => [
          ...[
            "scripts/encode.ts",
            "test/media/CiscoVT2people_320x192_12fps.yuv",
            "--size=320x192",
            "--fps=12",
          ],
          ...["--rc=cbr", "--bitrate=500", "--quiet", `--path=${path}`, `--device=vfio-user:${server.path}`],
          ...["-o", output],
        ];
        const [theirs, ours] = [join(folder, "x64.ivf"), join(folder, "arm64.ivf")];
        expect(Bun.spawnSync([process.execPath, ...encode(theirs)], { cwd: root }).exitCode).toBe(0);
        await runEmulated(encode(ours));
        expect(readFileSync(ours).equals(readFileSync(theirs))).toBe(true);
        expect(readFileSync(ours).length).toBe(43_368);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
    60_000,
  );
}
