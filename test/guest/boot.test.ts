/** Guests, booted for real, on both architectures. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { GuestError } from "../../src/guest/failure.ts";
import { runGuest } from "../../src/guest/run-guest.ts";

// The first one of these tests fetches what guests are made of.
setDefaultTimeout(900_000);

const root = resolve(import.meta.dir, "../..");
const folder = mkdtempSync(join(tmpdir(), "vfiokit-guest-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const guestTs = [process.execPath, join(root, "scripts/guest.ts")];

async function guest(...args: string[]) {
  const child = Bun.spawn([...guestTs, ...args], {
    cwd: folder,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.bytes(),
    child.stderr.text(),
    child.exited,
  ]);
  return { stdout, stderr, exitCode };
}

/** Every byte there is, thrice, so that text is not all that survives. */
const bytes = Uint8Array.from({ length: 768 }, (_, index) => index % 256);

const script = `
  bun run list.ts --id 1234:11e8 --json > list.json
  pwd > where
  for wait in $(seq 100); do [ -e /dev/nvme0n1 ] && break; sleep 0.1; done
  printf kept > /dev/nvme0n1 && head -c 4 /dev/nvme0n1 > disk
  bun run bind.ts 00:03.0 > bound && bun run poke.ts 00:03.0 2:0x7ffffc 0x12345678 > poked
  bun run peek.ts 00:03.0 2:0x7ffffc > memory
  cat "the input"
  echo to standard error >&2
  exit 42`;

const heard: Uint8Array[] = [];
// It spends its time asleep, so the other guests boot meanwhile.
const hanging = runGuest({
  arch: "x86_64",
  command: ["sh", "-c", "echo so far > left; echo before; echo in trouble > /dev/console; sleep 1000"],
  outputs: [join(folder, "left")],
  timeoutMs: 60_000,
  onStdout: (chunk) => void heard.push(chunk),
}).then(
  () => undefined,
  (error: unknown) => error,
);

for (const arch of ["x86_64", "aarch64"] as const) {
  test(`on ${arch} a command has its files, its streams, its exit code and its devices`, async () => {
    writeFileSync(join(folder, "the input"), bytes);
    const out = (name: string) => ["--out", join(folder, name)];
    const { stdout, stderr, exitCode } = await guest(
      ...["--arch", arch, "--device", "edu", "--device", "nvme", "--device", "pci-testdev"],
      ...["--in", "the input"],
      ...[...["list.json", "where", "disk", "memory"].flatMap(out), "--", "sh", "-c", script],
    );
    expect(stderr).toMatch(
      new RegExp(`^[^\\n]*${arch} guest, Linux 6\\.12\\.[^\\n]*, (KVM|TCG): [^\\n]*\\n`, "m"),
    );
    expect(stderr).toEndWith("to standard error\n");
    expect(Buffer.from(stdout).equals(bytes)).toBe(true);
    expect(exitCode).toBe(42);
    expect(readFileSync(join(folder, "where"), "utf8")).toBe("/vfiokit/work\n");
    expect(readFileSync(join(folder, "disk"), "utf8")).toBe("kept");
    expect(readFileSync(join(folder, "memory"), "utf8")).toEndWith("  0x12345678\n");
    expect(JSON.parse(readFileSync(join(folder, "list.json"), "utf8"))).toMatchObject([
      { address: "0000:00:01.0" },
    ]);
  });
}

test("a kernel that panics gives an exit code of its own, and its last words", async () => {
  const { stdout, exitCode } = await guest(
    "--arch",
    "aarch64",
    "--json",
    "sh",
    "-c",
    "echo c > /proc/sysrq-trigger",
  );
  expect(exitCode).toBe(125);
  const { error } = JSON.parse(Buffer.from(stdout).toString()) as { error: string };
  expect(error).toStartWith("the aarch64 guest ended by itself, while the command ran\n");
  expect(error).toContain("Kernel panic - not syncing: sysrq triggered crash");
});

test("a device that QEMU does not have is named, before anything boots", async () => {
  const { stderr, exitCode } = await guest("--device", "no-such-device", "true");
  expect(stderr).toContain("'no-such-device' is not a valid device model name");
  expect(stderr).toContain("--device accepts edu, nvme, pci-testdev,");
  expect(exitCode).toBe(125);
});

test("what can't work is refused before anything boots, with the option's name", async () => {
  writeFileSync(join(folder, "file"), "");
  for (const [args, mistake] of [
    [["--hugepages", "4000"], "--hugepages 4000: with 256 MiB for the guest itself they need 8256 MiB"],
    [["--hugepages", "385"], "at most 384 fit"],
    [["--in", "none/such"], "--in none/such: it can't be read (ENOENT)"],
    [["--in", "/"], "--in /: / can't go to the guest: it has no name"],
    [["--in", "file", "--in", "./file"], "--in ./file: another one is also called file"],
    [["--kernel", "nosuch.deb"], "--kernel nosuch.deb: it can't be read (ENOENT)"],
    [["--kernel", "newest"], "--kernel newest: it is neither a kernel's version"],
    [["--out", "none/such"], "--out none/such: there is no folder none; mkdir -p none creates it"],
    [["--out", "file/such"], "--out file/such: file is not a folder"],
    [["--out", "."], "--out .: it is a folder, not a file"],
  ] as const) {
    const { stdout, stderr, exitCode } = await guest(...args, "true");
    expect(stderr).toContain(mistake);
    expect(stderr).not.toContain("guest, Linux");
    expect({ exitCode, output: stdout.length }).toEqual({ exitCode: 2, output: 0 });
  }
});

test("a cache folder that can't be written is named, and what moves it", async () => {
  const child = Bun.spawn([...guestTs, "true"], {
    env: { ...process.env, XDG_CACHE_HOME: "/dev/null/cache" },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const stderr = await child.stderr.text();
  expect(stderr).toContain("the download cache /dev/null/cache/vfiokit can't be written (ENOTDIR)");
  expect(stderr).toContain("XDG_CACHE_HOME=/another/folder moves it");
  expect(await child.exited).toBe(125);
});

test("several commands in one word are not found, and the hint says how to run them", async () => {
  const { stderr, exitCode } = await guest("ls && pwd");
  expect(stderr).toContain("the command is one word; use sh -c '...'");
  expect(exitCode).toBe(127);
});

test("when the time is up, the error says what gives it longer, and nothing of the signal that ended QEMU", async () => {
  const { stderr, exitCode } = await guest("--timeout", "1", "sleep", "1000");
  expect(stderr).toMatch(
    /did not finish within 1 s, while .*\nits console is empty\n--timeout S gives it more time/,
  );
  expect(stderr).not.toContain("terminating on signal");
  expect(exitCode).toBe(125);
});

test("guest.ts takes its guest with it, when it is asked to end and when it is killed", async () => {
  for (const [signal, exitCode] of [["SIGTERM", 130] as const, ["SIGKILL", 137] as const]) {
    const child = Bun.spawn([...guestTs, "sh", "-c", "echo up; sleep 1000"], {
      env: { ...process.env, TMPDIR: folder }, // what a killed process leaves goes with the folder
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    });
    const { value } = await child.stdout.getReader().read();
    expect(Buffer.from(value!).toString()).toBe("up\n");
    const qemu = childrenOf(child.pid).find(({ name }) => name.startsWith("ld-linux"))!;
    child.kill(signal);
    expect(await child.exited).toBe(exitCode);
    await until(() => (isRunning(qemu.pid) ? undefined : true));
  }
});

test("a command that hangs is ended at the time limit; what it wrote is there, and the console is shown", async () => {
  const error = await hanging;
  expect(error).toBeInstanceOf(GuestError);
  const { message } = error as GuestError;
  expect(message).toStartWith(
    "the x86_64 guest did not finish within 60 s, while the command ran\nthe last lines of its console:\n",
  );
  expect(message).toEndWith("  in trouble");
  expect(Buffer.concat(heard).toString()).toBe("before\n");
  expect(readFileSync(join(folder, "left"), "utf8")).toBe("so far\n");
});

/** What `find` finds in the end. */
async function until<T>(find: () => T | undefined): Promise<T> {
  const limitMs = performance.now() + 30_000;
  for (;;) {
    const found = find();
    if (found !== undefined) return found;
    if (performance.now() > limitMs) throw new Error("it did not happen within 30 s");
    await Bun.sleep(20);
  }
}

/** The fields of /proc/PID/stat (proc(5)). */
function processes() {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [, name, state, parent] = /\((.*)\) (\S) (\d+)/s.exec(
          readFileSync(`/proc/${pid}/stat`, "utf8"),
        )!;
        return [{ pid: Number(pid), name: name!, state: state!, parent: Number(parent) }];
      } catch {
        return []; // gone meanwhile
      }
    });
}
const childrenOf = (pid: number) => processes().filter(({ parent }) => parent === pid);
const isRunning = (pid: number) => processes().some((one) => one.pid === pid && one.state !== "Z");
