/** A real file in and the encoded file out, from one command line: for people and for pipelines. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { encode, shell, start, startScript } from "../scripts/rig.ts";

const TIMEOUT_MS = 120_000;
const clip = join(import.meta.dir, "../media/CiscoVT2people_320x192_12fps.yuv");
const settings = ["--size", "320x192", "--fps", "12"];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "vfiokit-line-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const inGuest = `bun run bind.ts 00:01.0 --json > /dev/null && bun run encode.ts ${basename(clip)} ${settings.join(" ")} -o clip.webm`;

test(
  "in a pipeline it is one JSON object, the command's exit code, and nothing for a terminal",
  async () => {
    const host = join(folder, "host.webm");
    expect((await encode(clip, ...settings, "--device", "model:vp9", "-o", host)).exitCode).toBe(0);
    const output = join(folder, "clip.webm");
    const device = ["--arch", "aarch64", "--device", "model:vp9"];
    const files = ["--in", clip, "--out", output];
    const { exitCode, stdout, stderr } = await startScript(
      ...(["guest.ts", ...device, ...files, "--json", "sh", "-c", `${inGuest} --json`] as const),
    ).ended();
    const result = JSON.parse(new TextDecoder().decode(stdout));
    expect(result).toMatchObject({ exitCode: 0, arch: "aarch64", accelerator: expect.any(String) });
    expect(JSON.parse(result.stdout)).toMatchObject({
      frames: 9,
      device: "0000:00:01.0",
      path: "dma",
      output: "clip.webm",
    });
    const forTerminals = ["\r", "\x1b"].filter((control) => stderr.includes(control));
    expect({ exitCode, forTerminals }).toEqual({ exitCode: 0, forTerminals: [] });
    expect(readFileSync(output).equals(readFileSync(host))).toBe(true);
  },
  TIMEOUT_MS,
);

test(
  "a command that fails in the guest fails here, with its own exit code and words",
  async () => {
    const { exitCode, stdout, stderr } = await startScript(
      ...([
        "guest.ts",
        "--device",
        "model:vp9",
        "bun",
        "run",
        "encode.ts",
        "none.y4m",
        "-o",
        "o.ivf",
      ] as const),
    ).ended();
    expect({ exitCode, stdout: stdout.length }).toEqual({ exitCode: 3, stdout: 0 });
    expect(stderr).toContain('cannot open "none.y4m" for reading: ENOENT');
    expect(stderr).not.toContain("booting"); // that is for terminals
  },
  TIMEOUT_MS,
);

test(
  "on a terminal it is seen that the guest boots, and the encoder's progress as it goes, from inside the guest",
  async () => {
    const output = join(folder, "seen.webm");
    const line = `bun run guest.ts --device model:vp9 --in ${clip} --out ${output} sh -c '${inGuest.replace("clip.webm", "seen.webm")}'`;
    const { exitCode, stdout } = await start(["script", "-qec", line, "/dev/null"]).ended();
    const shown = new TextDecoder().decode(stdout).replaceAll("\r", "<CR>").replaceAll("\x1b[K", "<CLEAR>");
    expect({ exitCode, shown }).toEqual({
      exitCode: 0,
      shown: expect.stringMatching(/<CR>frame \d\/9, [\d.]+ fps, \d+ kbit\/s, \d\d:\d\d left<CLEAR>/),
    });
    expect(shown).toMatch(/<CR><CLEAR>.*9 frames \(1 key\)/s);
    // Before that, that it boots; the line is gone when the command begins.
    expect(shown).toMatch(
      /<CR>the guest is booting, 0 s<CLEAR><CR>the guest is booting, 1 s<CLEAR>.*<CR><CLEAR>.*<CR>frame/s,
    );
  },
  TIMEOUT_MS,
);

test("a socket that is not there is a mistake on the command line: nothing is booted", async () => {
  const { exitCode, stderr } = await startScript("guest.ts", "--device", "vfio-user:/nope", "true").ended();
  expect(exitCode).toBe(2);
  expect(stderr).toContain("--device vfio-user:/nope: there is no such socket; start the server first");
});

test(
  "whoever leaves in the middle of the output is told nothing, with exit code 141",
  async () => {
    const line =
      "bun run guest.ts sh -c 'i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done' | head -n 1";
    const { exitCode, stdout, stderr } = await shell(line);
    expect({ exitCode, stdout: new TextDecoder().decode(stdout) }).toEqual({
      exitCode: 141,
      stdout: "line 0\n",
    });
    const said = stderr
      .trim()
      .split("\n")
      .filter((line) => !/ fetching .*, once\)$/.test(line));
    expect(said).toEqual([expect.stringContaining("guest, Linux")]);
  },
  TIMEOUT_MS,
);

test(
  "a command that reboots the guest ends it, and hears of --reboot",
  async () => {
    const { exitCode, stderr } = await startScript("guest.ts", "reboot", "-f").ended();
    expect(exitCode).toBe(125);
    expect(stderr).toContain("the command rebooted the guest; --reboot allows that");
  },
  TIMEOUT_MS,
);

test("--device help lists the devices, and help after a device's name its properties; nothing is booted", async () => {
  const all = await startScript("guest.ts", "--arch", "aarch64", "--device", "help").ended();
  const text = new TextDecoder().decode(all.stdout);
  expect({ exitCode: all.exitCode, stderr: all.stderr }).toEqual({ exitCode: 0, stderr: "" });
  for (const name of ["edu", "nvme", "pci-testdev", "igb", "e1000e", "model:vp9", "vfio-user:/path.sock"])
    expect(text).toMatch(new RegExp(`^  ${name} +\\S`, "m"));
  expect(text).toContain("QEMU's PCI devices for aarch64");
  expect(text).toMatch(/^ {2}rtl8139$/m);
  expect(text).not.toContain("usb-kbd");
  const one = await startScript("guest.ts", "--device", "edu,help").ended();
  expect(new TextDecoder().decode(one.stdout)).toContain("dma_mask=<");
  expect(one.exitCode).toBe(0);
  const none = await startScript("guest.ts", "--device", "nothing,help").ended();
  expect(none.stderr).toContain("'nothing' is not a valid device model name");
  expect(none.exitCode).toBe(125);
});

test(
  "devices lie in the order given, those that a program serves and QEMU's own",
  async () => {
    const devices = ["edu", "model:vp9", '{"driver":"edu"}', "igb", "model:vp9"];
    const words = devices.flatMap((spec) => ["--device", spec]);
    const run = startScript("guest.ts", ...words, "sh", "-c", "lspci -n | head -n 6");
    const { exitCode, stdout } = await run.ended();
    const text = new TextDecoder().decode(stdout).split("\n");
    expect({
      exitCode,
      ids: text.slice(1, 6).map((line) => line.replace(/ .*: | \(.*/g, " ").trim()),
    }).toEqual({
      exitCode: 0,
      ids: [
        "00:01.0 1234:11e8",
        "00:02.0 10ee:7022",
        "00:03.0 1234:11e8",
        "00:04.0 8086:10c9",
        "00:05.0 10ee:7022",
      ],
    });
  },
  TIMEOUT_MS,
);
