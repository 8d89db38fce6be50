/** The standalone binaries, glibc's and musl's, in guests that have nothing else of the project. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { buildStandalone, type Target } from "../../scripts/build/standalone.ts";
import { runGuest } from "../../src/guest/run-guest.ts";
import "../../src/schemes.ts";
import { CLIP } from "../media/rig.ts";
import { encode } from "../scripts/rig.ts";
import { fetchMusl } from "./musl.ts";

const TIMEOUT_MS = 400_000;
const SETTINGS = ["--size", "320x192", "--fps", "12", "--rc", "cbr", "--bitrate", "500"];

const folder = mkdtempSync(join(tmpdir(), "vfiokit-standalone-"));
const file = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }), TIMEOUT_MS);

/** What encode.ts makes of the clip here, by each codec. */
beforeAll(async () => {
  for (const codec of ["libvpx", "debian", "null"]) {
    const { exitCode } = await encode(CLIP, ...SETTINGS, "--codec", codec, "-o", file(`host-${codec}.ivf`));
    expect(exitCode).toBe(0);
  }
}, TIMEOUT_MS);

test.each([
  ["x86_64", "linux-x64", "linux-x64-musl"],
  ["aarch64", "linux-arm64", "linux-arm64-musl"],
] as const)(
  "in an %s guest without Bun, for glibc and for musl, all of the story runs, and the bytes are the host's",
  async (arch, glibc, withMusl) => {
    const targets: Target[] = [glibc, withMusl];
    const binaries = await Promise.all(
      targets.map((target) => buildStandalone(target, folder, { log: console.log })),
    );
    const musl = await fetchMusl(arch);
    const script = [
      // Nothing of the project is left but what is in this folder.
      "cd /run/guest/work",
      "umount -l /vfiokit/work /vfiokit /run/folders/vfiokit/lower /run/bun",
      `cp ${basename(musl.loader)} ${basename(musl.cxx)} /lib/`,
      "if bun --version; then exit 1; fi",
      ...targets.flatMap((target) => [
        // Each start would read it anew from the host. The last one's model may still run for a moment.
        `rm -f /tmp/vfiokit; cp vfiokit-${target} /tmp/vfiokit`,
        "PATH=/tmp:/usr/bin:/bin",
        "vfiokit --version",
        "vfiokit list --id 10ee:7022",
        "vfiokit bind 00:01.0",
        `vfiokit encode ${basename(CLIP)} ${SETTINGS.join(" ")} --path dma --json -o ${target}.ivf`,
        "vfiokit peek 00:01.0 0:0",
        "vfiokit release 00:01.0",
        // The model as a child process of its own.
        `vfiokit encode ${basename(CLIP)} ${SETTINGS.join(" ")} --codec null --json -o ${target}-null.ivf`,
        // No libvpx is here but the one in the binary for glibc.
        target === glibc
          ? `vfiokit encode ${basename(CLIP)} ${SETTINGS.join(" ")} --device model:vp9 --json -o ${target}-own.ivf`
          : "if vfiokit encode --device model:vp9 -o none.ivf; then exit 1; fi",
      ]),
    ];
    writeFileSync(file("steps.sh"), script.join("\n"));
    const own = file(`${glibc}-own.ivf`);
    const outputs = [
      ...targets.flatMap((target) => [file(`${target}.ivf`), file(`${target}-null.ivf`)]),
      own,
    ];
    let text = "";
    const collect = (bytes: Uint8Array) => {
      text += new TextDecoder().decode(bytes);
    };
    const { exitCode } = await runGuest({
      arch,
      memoryMib: 2048,
      hugepages: 64,
      devices: ["model:vp9"],
      inputs: [file("steps.sh"), CLIP, musl.loader, musl.cxx, ...binaries.map(({ path }) => path)],
      outputs,
      command: ["sh", "-e", "steps.sh"],
      onStdout: collect,
      onStderr: collect,
      timeoutMs: TIMEOUT_MS - 20_000,
    });
    console.log(`${arch}:\n${text}`);
    expect({ exitCode, text: exitCode === 0 ? "" : text }).toEqual({ exitCode: 0, text: "" });
    for (const target of targets) {
      expect(text).toMatch(
        new RegExp(`^vfiokit \\S+ for ${target}, Bun ${RegExp.escape(Bun.version)}$`, "m"),
      );
      expect(readFileSync(file(`${target}.ivf`)).equals(readFileSync(file("host-libvpx.ivf")))).toBe(true);
      expect(readFileSync(file(`${target}-null.ivf`)).equals(readFileSync(file("host-null.ivf")))).toBe(true);
    }
    expect(readFileSync(own).equals(readFileSync(file("host-debian.ivf")))).toBe(true);
    const count = (part: string) => text.split(part).length - 1;
    expect(count("0000:00:01.0  10ee:7022")).toBe(2);
    expect(count("0000:00:01.0 went from no driver to vfio-pci\n")).toBe(2);
    expect(count("0x00000000  0x45395056\n")).toBe(2);
    expect(count("0000:00:01.0 went from vfio-pci back to no driver\n")).toBe(2);
    expect(count("embedded: a binary for musl has no libvpx of its own")).toBe(1);
    expect(count("libav.js: a standalone binary does not include it")).toBe(1);
    const reports = [...text.matchAll(/^\{.*\}$/gm)].map(
      ([line]) => JSON.parse(line) as Record<string, unknown>,
    );
    expect(reports.map(({ device, path, frames }) => ({ device, path, frames }))).toEqual(
      targets.flatMap((target) => [
        { device: "0000:00:01.0", path: "dma", frames: 9 },
        { device: "model:vp9?codec=null", path: "dma", frames: 9 },
        ...(target === glibc ? [{ device: "model:vp9", path: "dma", frames: 9 }] : []),
      ]),
    );
  },
  TIMEOUT_MS,
);
