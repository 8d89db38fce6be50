/** The campaign `inputs`: y4m and raw video, in order or not, from everywhere, to everywhere, and what encode.ts makes of it. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Campaign, type Counts, campaign, type Rig } from "./campaign.ts";
import { type InputCase, inputCases } from "./inputs/case.ts";
import { makeContent } from "./inputs/content.ts";
import { type Destination, type Disks, openDestination } from "./inputs/destination.ts";
import { ENDLESS_FRAMES, judge } from "./inputs/judge.ts";
import { openOrigin } from "./inputs/origin.ts";
import {
  exitOf,
  expectGone,
  expectNoCrash,
  ownFigures,
  type Program,
  startProgram,
  until,
} from "./program.ts";

/** For encode.ts, of which no run has more than 16 MiB to read. */
const END_MS = 30_000;
const GONE_MS = 5_000;
const BEGIN_MS = 20_000;
/** From opening a file until its size is known. */
const LOOKED_MS = 20;

export const inputsCampaign: Campaign = campaign({
  name: "inputs",
  about: "y4m and raw video, in order or not, from and to everywhere: exit codes, messages, packets",
  runs: 1000,
  limitMs: 90_000,
  cases: inputCases,
  open,
});

async function open(): Promise<Rig<InputCase>> {
  const home = mkdtempSync(join(tmpdir(), "vfiokit-inputs-"));
  const disks: Disks = {
    full: mountDisk(join(home, "full"), "size=1m"),
    readOnly: mountDisk(join(home, "read-only"), "ro"),
  };
  let runs = 0;
  return {
    async run(one) {
      const folder = join(home, String(++runs));
      mkdirSync(join(folder, "temporary"), { recursive: true });
      try {
        return await runOne(one, folder, disks);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    figures: ownFigures,
    async [Symbol.asyncDispose]() {
      for (const disk of Object.values(disks)) if (disk !== undefined) Bun.spawnSync(["umount", disk]);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A file system in memory; undefined if this user may not mount. */
function mountDisk(path: string, options: string): string | undefined {
  mkdirSync(path);
  const { exitCode } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  return exitCode === 0 ? path : undefined;
}

async function runOne(one: InputCase, folder: string, disks: Disks): Promise<Counts> {
  const content = makeContent(one);
  await using origin = await openOrigin(one, content, folder);
  using destination = openDestination(one, origin.name, folder, disks);
  if (destination === undefined) return { "skipped: mounting a disk is not allowed here": 1 };
  const temporary = join(folder, "temporary");
  const endless = one.from === "/dev/zero" ? ["--frames", String(ENDLESS_FRAMES)] : [];
  const words = [
    ...[origin.name, ...content.options, ...endless, "--codec", one.codec, one.json ? "--json" : "--quiet"],
    ...["-o", destination.name, ...destination.options],
  ];
  await using program = startProgram("encode.ts", words, {
    ...{ folder, temporary, stdout: destination.stdout },
    ...(origin.stdin !== undefined && { stdin: origin.stdin }),
  });
  const fed = origin.feed?.(program, () => begun(program, origin.name, destination));
  const [printed, exit] = await Promise.all([
    destination.collect(program),
    exitOf(program, "encode.ts", END_MS),
    fed,
  ]);
  const { said } = program;
  expectNoCrash(said);
  await expectGone(program, "encode.ts", GONE_MS);
  if (readdirSync(temporary).length > 0) throw new Error(`it left ${readdirSync(temporary).join(" ")}`);
  if (origin.file !== undefined && statSync(origin.file).size !== content.bytes.length)
    throw new Error("the input was changed");
  const text = destination.name === "-" ? said : printed.toString();
  // With a bad option there is no object, but words.
  const json =
    one.json && text.trimStart().startsWith("{") ? JSON.parse(text.trim().split("\n").at(-1)!) : undefined;
  const counted = judge(one, content, origin, destination, { exit, said, json });
  return Object.fromEntries(counted.map((what) => [what, 1]));
}

/** Resolves when the program reads its input, and has begun its output. */
async function begun(program: Program, input: string, destination: Destination): Promise<void> {
  const file = readlinkOr(input);
  await until(
    () => !program.running || holds(program.pid, file),
    BEGIN_MS,
    () => `encode.ts did not open its input: ${program.said}`,
  );
  if (destination.name !== "-" && destination.writable === true && !destination.name.startsWith("/dev/"))
    await until(
      () => !program.running || sizeOf(destination) > 0,
      BEGIN_MS,
      () => `encode.ts did not begin its output: ${program.said}`,
    );
  else await Bun.sleep(LOOKED_MS);
}

/** 0 for an existing file until its bytes change. */
function sizeOf({ name, before }: Destination): number {
  const size = statSync(name, { throwIfNoEntry: false })?.size ?? 0;
  return before !== undefined && readFileSync(name).equals(before) ? 0 : size;
}

function readlinkOr(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return path;
  }
}

function holds(pid: number, file: string): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((fd) => readlinkOr(join(folder, fd)) === file);
  } catch {
    return false; // it has ended
  }
}
