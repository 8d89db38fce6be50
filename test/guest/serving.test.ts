/** One model and the guests that come to it, one after the other. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runGuest } from "../../src/guest/run-guest.ts";
import "../../src/schemes.ts";
import type { GuestOptions } from "../../src/guest/options.ts";
import { startServer } from "../model/rig.ts";

const TIMEOUT_MS = 240_000;
const encoder = join(import.meta.dir, "../../scripts/encode.ts");
const clip = join(import.meta.dir, "../media/CiscoVT2people_320x192_12fps.yuv");
const settings = ["--size", "320x192", "--fps", "12", "--rc", "cbr", "--bitrate", "500"];

let folder: string;
let expected: Buffer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "vfiokit-serving-"));
  const output = join(folder, "expected.ivf");
  const words = [encoder, clip, ...settings, "--device", "model:vp9", "--quiet", "-o", output];
  expect(await Bun.spawn([process.execPath, ...words], { stderr: "inherit" }).exited).toBe(0);
  expected = readFileSync(output);
}, TIMEOUT_MS);
afterAll(() => rmSync(folder, { recursive: true }));

test.each(["x86_64", "aarch64"] as const)(
  "a model serves an %s guest, the same one after it has rebooted without a word, and another one after that",
  async (arch) => {
    await using model = await startServer();
    const encode = (name: string) =>
      `bun run encode.ts ${clip.split("/").at(-1)} ${settings.join(" ")} --path dma --quiet -o ${name}`;
    const options: Omit<GuestOptions, "command"> = {
      arch,
      devices: [`vfio-user:${model.path}`],
      inputs: [clip],
      onStderr: (bytes) => void process.stderr.write(bytes),
      timeoutMs: TIMEOUT_MS / 2,
    };
    const inFolder = (name: string) => join(folder, `${arch}-${name}`);
    const names = ["first.ivf", "second.ivf"].map((name) => `${arch}-${name}`);
    let text = "";
    const { exitCode } = await runGuest({
      ...options,
      reboots: true,
      outputs: names.map((name) => join(folder, name)),
      command: [
        "sh",
        "-ec",
        [
          "bun run bind.ts 00:01.0 --json > /dev/null",
          `if [ -e ${names[0]} ]; then echo again; ${encode(names[1]!)}; exit; fi`,
          encode(names[0]!),
          "echo once; sync",
          // The device is in the middle of a stream when the machine is reset.
          `(while cat ${clip.split("/").at(-1)}; do :; done) | ${encode("cut-short.ivf").replace(/encode\.ts \S+/, "encode.ts -")} &`,
          'while [ "$(stat -c %s cut-short.ivf 2> /dev/null || echo 0)" -lt 50000 ]; do sleep 0.2; done',
          "sync; reboot -f; sleep 60",
        ].join("\n"),
      ],
      onStdout: (bytes) => {
        text += new TextDecoder().decode(bytes);
      },
    });
    expect({ exitCode, text }).toEqual({ exitCode: 0, text: "once\nagain\n" });
    const { exitCode: another } = await runGuest({
      ...options,
      outputs: [inFolder("third.ivf")],
      command: ["sh", "-ec", `bun run bind.ts 00:01.0 --json > /dev/null; ${encode(`${arch}-third.ivf`)}`],
    });
    expect(another).toBe(0);
    for (const name of ["first.ivf", "second.ivf", "third.ivf"])
      expect({ name, same: readFileSync(inFolder(name)).equals(expected) }).toEqual({ name, same: true });
    expect(model.stopped()).toBe(false);
  },
  TIMEOUT_MS,
);
