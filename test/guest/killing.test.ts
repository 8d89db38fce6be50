/** What is left of the model when its guest is killed in the middle, and of the guest when its model is. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runGuest } from "../../src/guest/run-guest.ts";
import "../../src/schemes.ts";
import type { GuestOptions } from "../../src/guest/options.ts";
import { startServer } from "../model/rig.ts";
import { start, until } from "../scripts/rig.ts";
import { children } from "../vp9/encoder/rig.ts";

const TIMEOUT_MS = 180_000;
const encoder = join(import.meta.dir, "../../scripts/encode.ts");
const clip = join(import.meta.dir, "../media/CiscoVT2people_320x192_12fps.yuv");
const settings = ["--size", "320x192", "--fps", "12", "--rc", "cbr", "--bitrate", "500"];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "vfiokit-kill-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function encodeOnHost(device: string, name: string): Promise<Buffer> {
  const output = join(folder, name);
  const words = [encoder, clip, ...settings, "--device", device, "--quiet", "-o", output];
  const child = Bun.spawn([process.execPath, ...words], { stderr: "inherit" });
  expect(await child.exited).toBe(0);
  return readFileSync(output);
}

/** Encodes in a guest without end; what comes once frames flow is up to `begun`, and then `after` runs there. */
async function encodeForever(options: Omit<GuestOptions, "command">, begun: () => void, after = "true") {
  let text = "";
  let flowing = false;
  const collect = (bytes: Uint8Array) => {
    text += new TextDecoder().decode(bytes);
    if (flowing || !text.includes("frames flow")) return;
    flowing = true;
    begun();
  };
  const script = [
    "bun run bind.ts 00:01.0 --json > /dev/null",
    "mkfifo frames",
    "(while cat clip.yuv; do :; done) > frames 2> /dev/null &",
    `bun run encode.ts frames ${settings.join(" ")} --path dma --recover-timeout 3 --quiet -o forever.ivf &`,
    'while [ "$(stat -c %s forever.ivf 2> /dev/null || echo 0)" -lt 100000 ]; do sleep 0.2; done',
    "echo frames flow",
    "wait $!",
    "code=$?",
    after,
    "exit $code",
  ];
  const { exitCode } = await runGuest({
    ...options,
    hugepages: 16,
    inputs: [clip],
    command: ["sh", "-c", script.join("\n").replaceAll("clip.yuv", clip.split("/").at(-1)!)],
    onStdout: collect,
    onStderr: collect,
    timeoutMs: TIMEOUT_MS - 30_000,
  });
  return { exitCode, text };
}

/** This process's children whose command line has a word. */
function childrenWith(word: string): number[] {
  return children().filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(word));
}

test.each(["x86_64", "aarch64"] as const)(
  "an %s guest that is killed in the middle leaves a model that serves the next client as if it had never been",
  async (arch) => {
    const expected = await encodeOnHost("model:vp9", "expected.ivf");
    await using model = await startServer();
    const socket = model.path;
    const { promise, resolve } = Promise.withResolvers<void>();
    const ended = encodeForever({ arch, devices: [`vfio-user:${socket}`] }, resolve);
    const failed = ended.then(
      () => "",
      (error: Error) => error.message,
    );
    await Promise.race([promise, failed]);
    const pids = childrenWith("qemu-system");
    expect(pids.length).toBeGreaterThan(0);
    for (const pid of pids) process.kill(pid, "SIGKILL");
    expect(await failed).toContain("QEMU");
    expect(await encodeOnHost(`vfio-user:${socket}`, "after.ivf")).toEqual(expected);
    expect(model.stopped()).toBe(false);
  },
  TIMEOUT_MS,
);

test.each(["x86_64", "aarch64"] as const)(
  "a model that is killed in the middle leaves an %s guest in which encode.ts says so, and a valid file of the frames so far",
  async (arch) => {
    const kill = () => {
      for (const pid of childrenWith("served-program.ts")) process.kill(pid, "SIGKILL");
    };
    const output = join(folder, `forever.ivf`);
    const devices = ["model:vp9"];
    const logged: string[] = [];
    const log = (line: string) => void logged.push(line);
    const options = { arch, devices, outputs: [output], log };
    const look = "bun run doctor.ts 00:01.0 | grep link; bun run rescan.ts 00:01.0";
    const { exitCode, text } = await encodeForever(options, kill, look);
    console.log(`${arch}: ${text}`);
    expect(exitCode).toBe(1);
    expect(logged.join("\n")).toContain("model:vp9 ended (SIGKILL); the guest now sees a dead device");
    expect(text).toMatch(
      /PROBLEM +link +its configuration space answers, but the first word of region 0 is all ones: the logic behind it is dead/,
    );
    expect(text).toMatch(/0000:00:01\.0 +silent +10ee:7022 +driver vfio-pci\n/);
    const [, holds] =
      /ERROR {2}0000:00:01\.0 was lost, and did not come back within 3000 ms: .*the first word of BAR0 is all ones.*; what it was to recover from: 0000:00:01\.0: STATUS reads as all ones: the device has gone away\nforever\.ivf holds the (\d+) frames before that/.exec(
        text,
      ) ?? [];
    const count = ["-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"];
    const probe = Bun.spawn(["ffprobe", "-v", "error", ...count, output], { stderr: "pipe" });
    const [frames, errors] = await Promise.all([
      new Response(probe.stdout).text(),
      new Response(probe.stderr).text(),
    ]);
    expect({ frames: frames.trim(), errors }).toEqual({ frames: String(holds), errors: "" });
    expect(Number(holds)).toBeGreaterThan(10);
  },
  TIMEOUT_MS,
);

test(
  "a program that is killed leaves no process of its guest, none of the guest's devices, and no file",
  async () => {
    const model = `model:${join(import.meta.dir, "../../examples/edu/edu.model.ts")}`;
    const program = join(folder, "program.ts");
    const boots = [
      `import { bootGuest } from ${JSON.stringify(join(import.meta.dir, "../../src/exports/guest.ts"))};`,
      `const model = ${JSON.stringify(model)};`,
      'const guest = await bootGuest({ arch: "aarch64", devices: [model], hotplugPorts: 1 });',
      "await guest.plug(model);",
      'await guest.run(["sh", "-c", "echo up > /run/guest/work/up; mkdir locked; chmod 0 locked; sleep 7777"], { cwd: guest.work });',
    ];
    writeFileSync(program, boots.join("\n"));
    const temporary = join(folder, "temporary");
    mkdirSync(temporary);
    const run = start(["env", `TMPDIR=${temporary}`, process.execPath, program]);
    const isUp = () => [...new Bun.Glob("*/guest/work/up").scanSync(temporary)].length > 0;
    await until(isUp, "the guest to be up", TIMEOUT_MS / 2);
    const parts = ["qemu-system", "virtiofsd", "served-program"];
    expect(parts.map((part) => run.find(part).length > 0)).toEqual([true, true, true]);
    for (const pid of run.find("program.ts").filter((pid) => !run.find("served-program").includes(pid)))
      process.kill(pid, "SIGKILL");
    await run.ended(); // throws if a process is left
    await until(() => readdirSync(temporary).length === 0, "its files to be removed");
  },
  TIMEOUT_MS,
);
