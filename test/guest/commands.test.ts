/** Many commands in one guest that has booted once. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bootGuest, type Guest, GuestError } from "../../src/exports/guest.ts";
import { openFds } from "../os/open-fds.ts";

const BOOT_MS = 120_000;
const TIMEOUT_MS = 60_000;

const folder = mkdtempSync(join(tmpdir(), "vfiokit-commands-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Command lines of the guest's processes, without the kernel's. */
const processes = async (guest: Guest) => (await guest.run(["ps", "-o", "args"])).stdout;

async function failureOf(run: Promise<unknown>): Promise<GuestError> {
  const error = await run.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(GuestError);
  return error as GuestError;
}

describe.each(["x86_64", "aarch64"] as const)("in an %s guest", (arch) => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await bootGuest({ arch, devices: ["edu"], timeoutMs: BOOT_MS });
  }, BOOT_MS);
  afterAll(() => guest?.[Symbol.asyncDispose]());

  test(
    "ten commands cost one boot",
    async () => {
      const times: string[] = [];
      for (let i = 1; i <= 10; i++) {
        const startMs = performance.now();
        const { exitCode, stdout, stderr } = await guest.run([
          "sh",
          "-c",
          `echo ${i}; echo no >&2; exit ${i}`,
        ]);
        times.push((performance.now() - startMs).toFixed(0));
        expect({ exitCode, stdout, stderr }).toEqual({ exitCode: i, stdout: `${i}\n`, stderr: "no\n" });
      }
      console.log(`${arch}: booted in ${guest.bootMs.toFixed(0)} ms; ten commands: ${times.join(", ")} ms`);
    },
    TIMEOUT_MS,
  );

  test(
    "a command works in the project, has its standard input, and words as they were given",
    async () => {
      const words = ["it's", "$HOME", "a\nb", "", "é"];
      const { stdout } = await guest.run(["printf", "%s|", ...words]);
      expect(stdout).toBe(words.map((word) => `${word}|`).join(""));
      // A shell can't trap what was ignored when it started.
      expect((await guest.run(["sh", "-c", "trap 'echo heard' INT; kill -INT $$"])).stdout).toBe("heard\n");
      expect((await guest.run(["pwd"])).stdout).toBe(`${guest.project}\n`);
      expect((await guest.run(["pwd"], { cwd: "/tmp" })).stdout).toBe("/tmp\n");
      expect((await guest.run(["readlink", "/proc/self/fd/0"])).stdout).toBe("/dev/null\n");
      const bytes = crypto.getRandomValues(new Uint8Array(60_000));
      const inputs = {
        text: Buffer.from(bytes).toString("hex"),
        bytes,
        stream: new Blob([bytes]).stream(),
        nothing: "",
      };
      for (const [kind, stdin] of Object.entries(inputs)) {
        const expected =
          kind === "stream" ? bytes : new Uint8Array(await new Blob([stdin as string]).arrayBuffer());
        const received: Uint8Array[] = [];
        await guest.run(["cat"], { stdin, onStdout: (chunk) => void received.push(chunk) });
        expect({ kind, same: Buffer.concat(received).equals(expected) }).toEqual({ kind, same: true });
      }
      // Endless input does not keep a command that has read enough.
      const endless = (async function* () {
        for (;;) yield bytes;
      })();
      expect((await guest.run(["head", "-c", "3"], { stdin: endless })).exitCode).toBe(0);
    },
    TIMEOUT_MS,
  );

  test(
    "twelve commands at the same time have streams of their own",
    async () => {
      const runs = Array.from({ length: 12 }, (_, i) =>
        guest.run(["sh", "-c", `read -r x; echo $x out; sleep 0.2; echo $x err >&2; exit ${i}`], {
          stdin: `${i}\n`,
        }),
      );
      for (const [i, { exitCode, stdout, stderr }] of (await Promise.all(runs)).entries())
        expect({ exitCode, stdout, stderr }).toEqual({
          exitCode: i,
          stdout: `${i} out\n`,
          stderr: `${i} err\n`,
        });
    },
    TIMEOUT_MS,
  );

  test(
    "a command that takes too long is killed with what it started, also while its output waits, and the guest goes on",
    async () => {
      const slow = guest.run(["sh", "-c", "sleep 7777 & sleep 7777"], { timeoutMs: 1000 });
      const { kind, message } = await failureOf(slow);
      expect(kind).toBe("timed-out");
      expect(message).toContain("did not end within 1 s in the guest, and was killed");
      const blocked = guest.run(["yes"], { timeoutMs: 1000, onStdout: () => new Promise(() => {}) });
      expect((await failureOf(blocked)).kind).toBe("timed-out");
      const abort = new AbortController();
      const aborted = guest.run(["sleep", "7777"], { signal: abort.signal });
      setTimeout(() => abort.abort(new Error("enough")), 300);
      expect(aborted).rejects.toThrow("enough");
      await aborted.catch(() => {});
      const failing = guest.run(["yes"], {
        onStdout() {
          throw new Error("the sink failed");
        },
      });
      await failing.catch(() => {});
      expect(failing).rejects.toThrow("the sink failed");
      expect(await processes(guest)).not.toMatch(/sleep 7777|yes/);
    },
    TIMEOUT_MS,
  );

  test(
    "a hundred commands leave nothing in the guest, and no descriptor here",
    async () => {
      const counts = async () => {
        const { stdout } = await guest.run(["sh", "-c", "ps | grep -vc '\\['; ls /run/sessions | wc -l"]);
        return { inside: stdout, here: openFds("self") };
      };
      const before = await counts();
      for (let i = 0; i < 10; i++)
        await Promise.all(Array.from({ length: 10 }, () => guest.run(["true"], { stdin: "x" })));
      expect(await counts()).toEqual(before);
    },
    TIMEOUT_MS,
  );

  test(
    "an unprivileged user has a home, and VFIO tells it what it may not do",
    async () => {
      const as = (...command: string[]) => guest.run(command, { user: "user", cwd: "/tmp" });
      const { stdout } = await as(
        "sh",
        "-c",
        'id; cd; pwd; echo kept > file; cat file; echo "$1"',
        "sh",
        "a b",
      );
      expect(stdout).toBe("uid=1000(user) gid=1000(user) groups=1000(user)\n/home/user\nkept\na b\n");
      await guest.run(["vfiokit", "bind", "00:01.0"]);
      const { exitCode, stderr } = await as("vfiokit", "peek", "00:01.0", "0:0");
      expect(stderr).toMatch(/\/dev\/vfio\/\d+.*EACCES|EACCES.*\/dev\/vfio\/\d+/s);
      expect(exitCode).not.toBe(0);
      expect((await guest.run(["vfiokit", "peek", "00:01.0", "0:0"])).exitCode).toBe(0);
      const unknown = await guest.run(["true"], { user: "nobody-here" });
      expect(unknown.exitCode).toBe(1);
      expect(unknown.stderr).toContain("unknown user nobody-here");
    },
    TIMEOUT_MS,
  );

  test(
    "files go in and out",
    async () => {
      writeFileSync(join(folder, "given"), "given\n");
      const path = await guest.put(join(folder, "given"));
      expect((await guest.run(["cat", path])).stdout).toBe("given\n");
      await guest.run(["sh", "-c", "echo made > made"], { cwd: guest.work, user: "user" });
      await guest.take(join(folder, "made"));
      expect(readFileSync(join(folder, "made"), "utf8")).toBe("made\n");
      expect(guest.take(join(folder, "none"))).rejects.toThrow("the command left no such file");
    },
    TIMEOUT_MS,
  );
});

test(
  "when the guest dies, every command fails with the console's last lines, and so do those that come after",
  async () => {
    await using guest = await bootGuest({ arch: "aarch64", timeoutMs: BOOT_MS });
    const pending = failureOf(guest.run(["sleep", "7777"]));
    const crash = await failureOf(guest.run(["sh", "-c", "sleep 1; echo c > /proc/sysrq-trigger"]));
    const startMs = performance.now();
    for (const { message } of [crash, await pending, await failureOf(guest.run(["true"]))]) {
      expect(message).toStartWith("the aarch64 guest ended by itself, while the command ran\n");
      expect(message).toContain("Kernel panic - not syncing: sysrq triggered crash");
    }
    expect(performance.now() - startMs).toBeLessThan(1000);
  },
  BOOT_MS,
);

test(
  "a guest that is closed leaves no file here, and its commands end",
  async () => {
    const { TMPDIR } = process.env;
    process.env.TMPDIR = folder;
    const guest = await bootGuest({ arch: "aarch64", timeoutMs: BOOT_MS });
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    const pending = failureOf(guest.run(["sleep", "7777"]));
    const files = () => [...new Bun.Glob("vfiokit-guest.*").scanSync({ cwd: folder, onlyFiles: false })];
    expect(files().length).toBe(1);
    await guest[Symbol.asyncDispose]();
    await guest[Symbol.asyncDispose]();
    expect((await pending).kind).toBe("closed");
    expect(files()).toEqual([]);
    expect(existsSync(folder)).toBe(true);
  },
  BOOT_MS,
);
