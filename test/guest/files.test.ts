/** What a guest leaves for --out, and what is given to --in. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openWorkFolder, removeFolder } from "../../src/guest/files.ts";
import { shell, start, startScript } from "../scripts/rig.ts";

setDefaultTimeout(120_000);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "vfiokit-files-"));
  writeFileSync(join(folder, "secret"), "of this machine\n");
});
afterAll(() => rmSync(folder, { recursive: true }));

const modeOf = (path: string) => lstatSync(path).mode & 0o7777;

test("of what a guest leaves only regular files are taken, with a mode of this machine's choice; each other one is named", async () => {
  const out = (name: string) => join(folder, name);
  const names = ["link", "pipe", "socket", "folder", "device", "program", "none", "swapped"];
  const steps = [
    `ln -s ${join(folder, "secret")} link`,
    "mkfifo pipe",
    'bun -e \'require("node:net").createServer().listen("socket", () => process.kill(process.pid, 9))\' || true',
    "mkdir folder",
    "mknod device c 1 5 || ln -s /dev/zero device", // where QEMU is not root's it can't
    "echo 'the program' > program; chmod 4755 program",
    "echo swapped > swapped",
    // Not even the folder itself is what it was.
    "cd /run/guest && mv work moved && ln -s / work",
  ];
  const files = names.flatMap((name) => ["--out", out(name)]);
  const { exitCode, stderr } = await startScript("guest.ts", ...files, "sh", "-ec", steps.join("\n")).ended();
  const left = (name: string, kind: string) =>
    `${out(name)}: the command left a ${kind} under that name; only regular files are taken out of a guest`;
  expect(stderr).toContain(left("link", "symbolic link"));
  expect(stderr).toContain(left("pipe", "pipe (FIFO)"));
  expect(stderr).toContain(left("socket", "socket"));
  expect(stderr).toContain(left("folder", "folder"));
  expect(stderr).toContain(left("device", process.getuid!() === 0 ? "device node" : "symbolic link"));
  expect(stderr).toContain(`${out("none")}: the command left no such file in its working directory`);
  expect(names.filter((name) => existsSync(out(name)))).toEqual(["program", "swapped"]);
  expect(readFileSync(out("program"), "utf8")).toBe("the program\n");
  expect(readFileSync(out("swapped"), "utf8")).toBe("swapped\n");
  expect(modeOf(out("program"))).toBe(0o644 & ~process.umask());
  expect(exitCode).toBe(1);
});

test("a link that a guest makes leads to the guest's own files, never to this machine's", async () => {
  const script = `ln -s ${join(folder, "secret")} link; cat link; ln -s ../../../../../../..${folder} up; cat up/secret`;
  const { exitCode, stderr, stdout } = await startScript("guest.ts", "sh", "-c", script).ended();
  expect({ exitCode, stdout: stdout.length }).toEqual({ exitCode: 1, stdout: 0 });
  expect(stderr).toContain("cat: can't open 'link': No such file or directory");
  expect(stderr).toContain("cat: can't open 'up/secret': No such file or directory");
});

test("files are taken from the folder that was there before the guest, and what was here keeps its mode", async () => {
  const work = join(folder, "work");
  mkdirSync(work);
  using files = openWorkFolder(work);
  const server = createServer().listen(join(work, "socket"));
  writeFileSync(join(work, "file"), "new");
  chmodSync(join(work, "file"), 0o6777);
  symlinkSync("file", join(work, "link"));
  renameSync(work, `${work}-moved`);
  symlinkSync(folder, work);
  writeFileSync(join(folder, "file"), "old, and longer");
  chmodSync(join(folder, "file"), 0o600);
  expect(await files.take(join(folder, "file"))).toBeUndefined();
  expect(readFileSync(join(folder, "file"), "utf8")).toBe("new");
  expect(modeOf(join(folder, "file"))).toBe(0o600);
  for (const [name, reason] of [
    ["link", "a symbolic link"],
    ["socket", "a socket"],
    ["secret", "no such file"],
  ] as const)
    expect(await files.take(join(folder, name))).toContain(`the command left ${reason}`);
  mkdirSync(join(folder, "taken"));
  writeFileSync(join(`${work}-moved`, "taken"), "");
  expect(await files.take(join(folder, "taken"))).toStartWith(
    "it could not be copied out of the guest: EISDIR",
  );
  await new Promise((closed) => server.close(closed));
});

test("a folder goes with what a guest left in it, also where no one may enter it", () => {
  const path = join(folder, "removed");
  mkdirSync(join(path, "closed/deeper"), { recursive: true });
  symlinkSync(folder, join(path, "closed/deeper/link"));
  chmodSync(join(path, "closed/deeper"), 0);
  chmodSync(join(path, "closed"), 0);
  removeFolder(path);
  expect({ there: existsSync(path), secret: existsSync(join(folder, "secret")) }).toEqual({
    there: false,
    secret: true,
  });
});

test("a pipe of --in is read to its end, standard input among them, and the guest has a file", async () => {
  const line =
    'printf given | bun scripts/guest.ts --in /dev/stdin --in <(printf "by a command") sh -c "cat stdin *[0-9]"';
  const { exitCode, stdout, stderr } = await shell(line);
  expect({ exitCode, stdout: new TextDecoder().decode(stdout) }).toEqual({
    exitCode: 0,
    stdout: "givenby a command",
  });
  expect(stderr).toMatch(/reading the pipe \/dev\/fd\/\d+ to its end; the guest has it as the file \d+/);
  expect(stderr).not.toContain("does not reach the guest");
});

test("a pipe of --in that nobody writes to can be interrupted", async () => {
  const pipe = join(folder, "silent");
  expect((await start(["mkfifo", pipe]).ended()).exitCode).toBe(0);
  const run = startScript("guest.ts", "--in", pipe, "true");
  await Bun.sleep(3000);
  run.signalGroup("SIGINT");
  expect((await run.ended()).exitCode).toBe(130);
});

test("what is no file at all is refused for --in before anything boots", async () => {
  const { exitCode, stderr } = await startScript("guest.ts", "--in", "/dev/zero", "true").ended();
  expect(stderr).toContain("--in /dev/zero: it is neither a regular file nor a pipe");
  expect(exitCode).toBe(2);
  const substituted = await shell("bun run guest.ts --in <(echo lost) true");
  expect(substituted.stderr).toMatch(
    /--in \/dev\/fd\/\d+: it can't be read \(ENOENT\); bun run passes on only standard input/,
  );
  expect(substituted.exitCode).toBe(2);
});

test("a folder of --in goes to the guest with all that is in it; what can't go is named before anything boots", async () => {
  const tree = join(folder, "tree");
  mkdirSync(join(tree, "deep/empty"), { recursive: true });
  writeFileSync(join(tree, "deep/file"), "deep\n");
  writeFileSync(join(tree, "program"), "#!/bin/sh\necho runs\n", { mode: 0o755 });
  symlinkSync("deep/file", join(tree, "link"));
  const list = "find tree | sort; cat tree/link; readlink tree/link; tree/program";
  const good = await startScript("guest.ts", "--in", tree, "sh", "-c", list).ended();
  expect({ exitCode: good.exitCode, text: new TextDecoder().decode(good.stdout) }).toEqual({
    exitCode: 0,
    text: "tree\ntree/deep\ntree/deep/empty\ntree/deep/file\ntree/link\ntree/program\ndeep\ndeep/file\nruns\n",
  });
  const bad = join(tree, "deep/bad");
  for (const [make, reason] of [
    [() => symlinkSync("/etc/passwd", bad), "it is a link to /etc/passwd, which is not in the folder"],
    [() => symlinkSync("../../secret", bad), "it is a link to ../../secret, which is not in the folder"],
    [() => void Bun.spawnSync(["mkfifo", bad]), "it is a pipe (FIFO); files, folders and links are copied"],
  ] as const) {
    make();
    const { exitCode, stderr } = await startScript("guest.ts", "--in", tree, "true").ended();
    rmSync(bad);
    expect(stderr).toContain(`--in ${tree}: ${bad} can't go to the guest: ${reason}`);
    expect(exitCode).toBe(2);
  }
});

test("what is put into a folder replaces a link that the guest left there, and is never written through it", async () => {
  const work = join(folder, "put");
  mkdirSync(work);
  using files = openWorkFolder(work);
  writeFileSync(join(folder, "precious"), "precious");
  writeFileSync(join(folder, "given"), "given");
  symlinkSync("../precious", join(work, "given"));
  await files.put(join(folder, "given"));
  expect(readFileSync(join(folder, "precious"), "utf8")).toBe("precious");
  expect(lstatSync(join(work, "given")).isSymbolicLink()).toBe(false);
  expect(readFileSync(join(work, "given"), "utf8")).toBe("given");
});
