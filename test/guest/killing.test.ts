/** What is left of the model when its guest dies in the middle. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runGuest } from "../../src/guest/guest.ts";

const TIMEOUT_MS = 180_000;
const scripts = join(import.meta.dir, "../../scripts");
const clip = join(import.meta.dir, "../media/CiscoVT2people_320x192_12fps.yuv");
const settings = ["--size", "320x192", "--fps", "12", "--rc", "cbr", "--bitrate", "500"];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "vfiokit-kill-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A model that serves whoever comes. */
async function startModel(socket: string) {
  const model = Bun.spawn([process.execPath, join(scripts, "model.ts"), "--socket", socket], {
    stdin: "ignore",
    stderr: "pipe",
  });
  const reader = model.stderr.getReader();
  let said = "";
  while (!said.includes("vfio-user:")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the model did not start: ${said}`);
    said += new TextDecoder().decode(value);
  }
  void (async () => {
    while (!(await reader.read()).done);
  })();
  return model;
}

async function encodeOnHost(device: string, name: string): Promise<Buffer> {
  const output = join(folder, name);
  const words = [clip, ...settings, "--device", device, "--quiet", "-o", output];
  const child = Bun.spawn([process.execPath, join(scripts, "encode.ts"), ...words], { stderr: "inherit" });
  expect(await child.exited).toBe(0);
  return readFileSync(output);
}

/** Encodes in a guest without end; `begun` is called once frames flow. */
function encodeForever(socket: string, begun: () => void) {
  let text = "";
  const script = [
    "bun run bind.ts 00:01.0",
    `cat /dev/urandom | bun run encode.ts - ${settings.join(" ")} --quiet -o forever.ivf &`,
    'while [ "$(stat -c %s forever.ivf 2> /dev/null || echo 0)" -lt 100000 ]; do sleep 0.2; done',
    "echo frames flow",
    "wait $!",
  ];
  const collect = (bytes: Uint8Array) => {
    text += new TextDecoder().decode(bytes);
    if (text.includes("frames flow")) begun();
  };
  const ended = runGuest({
    arch: "x86_64",
    devices: [`vfio-user:${socket}`],
    command: ["sh", "-c", script.join("\n")],
    onStdout: collect,
    onStderr: collect,
    timeoutMs: TIMEOUT_MS - 30_000,
  });
  return ended;
}

/** QEMU processes whose command line names this. */
async function pidsOf(word: string): Promise<number[]> {
  const text = await new Response(Bun.spawn(["pgrep", "-f", word]).stdout).text();
  const isQemu = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("qemu-system");
  return text
    .split("\n")
    .filter(Boolean)
    .map(Number)
    .filter((pid) => existsSync(`/proc/${pid}`) && isQemu(pid));
}

test(
  "a guest that is killed in the middle leaves a model that serves the next client as if it had never been",
  async () => {
    const expected = await encodeOnHost("model:vp9", "expected.ivf");
    const socket = join(folder, "model.sock");
    await using model = await startModel(socket);
    const { promise, resolve } = Promise.withResolvers<void>();
    const ended = encodeForever(socket, resolve);
    const failed = ended.then(
      () => "",
      (error: Error) => error.message,
    );
    await Promise.race([promise, failed]);
    const pids = await pidsOf(socket);
    expect(pids.length).toBeGreaterThan(0);
    for (const pid of pids) process.kill(pid, "SIGKILL");
    expect(await failed).toContain("QEMU");
    expect(await encodeOnHost(`vfio-user:${socket}`, "after.ivf")).toEqual(expected);
    expect(model.exitCode).toBeNull();
  },
  TIMEOUT_MS,
);
