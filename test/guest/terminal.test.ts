/** A shell in a guest, on a real terminal of this machine; and standard input where there is none. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, shell, start, startScript } from "../scripts/rig.ts";

const TIMEOUT_MS = 180_000;
const STEP_MS = 40_000;

/** A program on a terminal of its own. */
function onTerminal(command: string[], columns: number, rows: number) {
  let screen = "";
  let seen = 0;
  const terminal = new Bun.Terminal({
    cols: columns,
    rows,
    data(_terminal, bytes) {
      screen += Buffer.from(bytes).toString();
    },
  });
  // Bun.spawn does not make it the controlling terminal, whose size's changes are signalled.
  const child = Bun.spawn(["setsid", "--ctty", ...command], {
    cwd: ROOT,
    terminal,
    env: { ...process.env, TERM: "xterm" },
  });
  return {
    child,
    type: (text: string) => void terminal.write(text),
    resize: (columns: number, rows: number) => terminal.resize(columns, rows),
    /** Waits for text after what was waited for before. */
    async until(pattern: RegExp): Promise<string> {
      const limitMs = performance.now() + STEP_MS;
      for (;;) {
        const found = pattern.exec(screen.slice(seen));
        if (found) {
          seen += found.index + found[0].length;
          return found[0];
        }
        if (performance.now() > limitMs)
          throw new Error(`waited for ${pattern}, and saw:\n${JSON.stringify(screen.slice(-600))}`);
        await Bun.sleep(20);
      }
    },
    /** Whether the terminal handles lines and Ctrl-C itself, as it did at first. */
    isCooked: () => (terminal.localFlags & 0x2) !== 0, // ICANON, termios(3)
    [Symbol.dispose]() {
      child.kill("SIGKILL");
      terminal.close();
    },
  };
}

test.each(["x86_64", "aarch64"] as const)(
  "in an %s guest the shell edits lines, Ctrl-C reaches its command, and it has the window's size",
  async (arch) => {
    using run = onTerminal([process.execPath, "scripts/guest.ts", "--arch", arch], 101, 33);
    const prompt = /guest:\/vfiokit\/work# /;
    await run.until(prompt);
    expect(run.isCooked()).toBe(false);
    // Left, left, and a letter in between.
    run.type("echo abd\x1b[D\x1b[Dc\x7f\x1b[C-\r");
    await run.until(/\nab-d\r\n/);
    await run.until(prompt);
    run.type("stty size; tty; echo $TERM\r");
    await run.until(/\n33 101\r\n\/dev\/hvc0\r\nxterm\r\n/);
    await run.until(prompt);
    run.resize(77, 22);
    run.type("until [ \"$(stty size)\" = '22 77' ]; do sleep 0.1; done; echo res''ized\r");
    await run.until(/\nresized\r\n/);
    await run.until(prompt);
    run.type("sh -c 'echo go\"\"ing; exec sleep 1000'\r");
    await run.until(/\ngoing\r\n/);
    run.type("\x03");
    await run.until(/\^C/);
    await run.until(prompt);
    run.type("echo la''st; exit 7\r");
    await run.until(/\nlast\r\n/);
    expect(await run.child.exited).toBe(7);
    expect(run.isCooked()).toBe(true);
  },
  TIMEOUT_MS,
);

test(
  "Ctrl-] ends a guest whose shell does not answer, and the terminal is as before",
  async () => {
    using run = onTerminal([process.execPath, "scripts/guest.ts", "--arch", "aarch64"], 80, 24);
    await run.until(/guest:\/vfiokit\/work# /);
    run.type("trap '' INT; sleep 1000\r");
    await run.until(/sleep 1000\r\n/);
    run.type("\x1d");
    expect(await run.child.exited).toBe(130);
    expect(run.isCooked()).toBe(true);
  },
  TIMEOUT_MS,
);

test("without a command and without a terminal it is a usage error", async () => {
  const { exitCode, stderr } = await startScript("guest.ts").ended();
  expect(exitCode).toBe(2);
  expect(stderr).toContain("the command is missing; on a terminal it may be, for a shell");
});

test(
  "standard input goes to the command, from a pipe or a file, unless --in takes it",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "vfiokit-stdin-"));
    writeFileSync(join(folder, "file"), "from a file\n");
    try {
      const said = async (line: string) => {
        const { exitCode, stdout } = await shell(line);
        return { exitCode, text: Buffer.from(stdout).toString() };
      };
      const guest = "bun run --silent guest.ts --arch aarch64";
      expect(await said(`head -c 3000000 /dev/zero | ${guest} wc -c`)).toEqual({
        exitCode: 0,
        text: "3000000\n",
      });
      expect(await said(`${guest} cat < ${folder}/file`)).toEqual({ exitCode: 0, text: "from a file\n" });
      expect(await said(`echo taken | ${guest} --in /dev/stdin sh -c 'cat; cat stdin'`)).toEqual({
        exitCode: 0,
        text: "taken\n",
      });
      // A pipe that stays open keeps no command that has ended.
      const run = start(["bun", "run", "--silent", "guest.ts", "--arch", "aarch64", "head", "-n", "1"], {
        stdin: "pipe",
      });
      run.stdin.write("a line\n");
      await run.stdin.flush();
      const { exitCode, stdout } = await run.ended();
      expect({ exitCode, text: Buffer.from(stdout).toString() }).toEqual({ exitCode: 0, text: "a line\n" });
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  TIMEOUT_MS,
);
