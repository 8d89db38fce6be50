/** Where encode.ts writes its output. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Program } from "../program.ts";
import type { InputCase } from "./case.ts";

/** Disks made for the campaign; none unless it may mount. */
export interface Disks {
  readonly full: string | undefined;
  readonly readOnly: string | undefined;
}

/** An output. Disposing of it closes it. */
export interface Destination extends Disposable {
  /** As encode.ts is given it. */
  readonly name: string;
  readonly container: "ivf" | "webm";
  /** Options beside -o. */
  readonly options: readonly string[];
  readonly stdout: "ignore" | "pipe" | number;
  /** Whether it can be written; else why encode.ts refuses it, by its exit code: before it reads anything, or at the first frame. */
  readonly writable: boolean | "to a point" | "never";
  /** What an existing file held. */
  readonly before: Buffer | undefined;
  /** Ends the reading of a pipe that nobody reads; gives what else was on standard output. */
  collect(program: Program): Promise<Buffer>;
  /** What is in the output; undefined if it keeps nothing, or is not there. */
  held(): Buffer | undefined;
}

const PRECIOUS = Buffer.from("precious ".repeat(500));
const PAGE = 4096;

/** Undefined for a disk that could not be made. */
export function openDestination(
  { to, freePages, from }: InputCase,
  input: string,
  folder: string,
  disks: Disks,
): Destination | undefined {
  let piped: Buffer | undefined;
  let fd: number | undefined;
  const isPipe = to === "stdout pipe" || to === "closed pipe";
  const common = {
    container: to.endsWith("webm") ? ("webm" as const) : ("ivf" as const),
    options: [] as readonly string[],
    stdout: "pipe" as "ignore" | "pipe" | number,
    writable: true as Destination["writable"],
    before: undefined as Buffer | undefined,
    async collect(program: Program) {
      if (to === "closed pipe") {
        await program.stdout.cancel();
        return Buffer.alloc(0);
      }
      if (to === "stdout file") return Buffer.alloc(0);
      const bytes = Buffer.from(await new Response(program.stdout).arrayBuffer());
      if (!isPipe) return bytes;
      piped = bytes;
      return Buffer.alloc(0);
    },
    [Symbol.dispose]() {
      if (fd !== undefined) closeSync(fd);
    },
  };
  const file = (path: string, more: Partial<Destination> = {}): Destination => ({
    ...common,
    name: path,
    held: () => (statSync(path, { throwIfNoEntry: false })?.isFile() ? readFileSync(path) : undefined),
    ...more,
  });
  const output = join(folder, `out.${common.container}`);
  switch (to) {
    case "new ivf":
    case "new webm":
      return file(output);
    case "existing ivf":
    case "existing webm":
      writeFileSync(output, PRECIOUS);
      return file(output, { before: PRECIOUS });
    case "stdout pipe":
      return { ...common, name: "-", held: () => piped };
    case "closed pipe":
      return { ...common, name: "-", writable: false, held: () => undefined };
    case "stdout file":
      fd = openSync(output, "w");
      return file(output, { name: "-", stdout: fd });
    case "full disk": {
      if (disks.full === undefined) return undefined;
      fill(disks.full, freePages);
      const path = join(disks.full, "out.ivf");
      if (existsSync(path)) rmSync(path);
      return file(path, { writable: freePages > 0 ? "to a point" : false });
    }
    case "read-only folder":
      if (disks.readOnly === undefined) return undefined;
      return file(join(disks.readOnly, "out.ivf"), { writable: false });
    case "folder":
      mkdirSync(output);
      return file(output, { writable: false });
    case "missing folder":
      return file(join(folder, "missing", "out.ivf"), { writable: false });
    case "/dev/full":
    case "/dev/null":
      return file(to, {
        options: ["--container", "ivf"],
        writable: to === "/dev/null",
        held: () => undefined,
      });
    case "the input":
      // Only of a regular file can it be seen that it is the same.
      return from === "file" || from === "symlink"
        ? file(input, { options: ["--container", "ivf"], writable: false, held: () => undefined })
        : file(output);
    case "another ending":
      return file(join(folder, "out.mp4"), { writable: "never" });
  }
}

/** Fills a disk, but for some pages. */
function fill(disk: string, freePages: number): void {
  rmSync(join(disk, "out.ivf"), { force: true });
  const path = join(disk, "filler");
  const fd = openSync(path, "w");
  let size = 0;
  try {
    for (;;) size += writeSync(fd, Buffer.alloc(PAGE), 0, PAGE, size);
  } catch {
    // It is full.
  } finally {
    closeSync(fd);
  }
  truncateSync(path, size - freePages * PAGE);
}
