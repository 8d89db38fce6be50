/** Where encode.ts has its input from. */
import {
  appendFileSync,
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Program } from "../program.ts";
import type { InputCase } from "./case.ts";
import type { Content } from "./content.ts";

/** An input that is ready. Disposing of it ends what feeds it. */
export interface Origin extends AsyncDisposable {
  /** As encode.ts is given it. */
  readonly name: string;
  readonly stdin?: "pipe" | number;
  /** The bytes that encode.ts may find: the first ones at its start, the last ones at its end. Empty if it finds none. */
  readonly versions: readonly Buffer[];
  /** A regular file, which must stay as it is. */
  readonly file?: string;
  /** Feeds the running program, or changes its file once `begun`. */
  feed?(program: Program, begun: () => Promise<void>): Promise<void>;
}

export async function openOrigin(
  { from, cutBytes }: InputCase,
  content: Content,
  folder: string,
): Promise<Origin> {
  const { bytes } = content;
  await using held = new AsyncDisposableStack();
  const file = join(folder, "in.video");
  const named = (name: string, versions: readonly Buffer[], rest: Partial<Origin> = {}): Origin => {
    const resources = held.move();
    return { name, versions, ...rest, [Symbol.asyncDispose]: () => resources.disposeAsync() };
  };
  switch (from) {
    case "/dev/zero":
      return named(from, [Buffer.alloc(ZEROS)]);
    case "missing":
      return named(join(folder, "missing"), []);
    case "folder":
      mkdirSync(file);
      return named(file, []);
    case "fifo": {
      writeFileSync(file, bytes);
      const fifo = join(folder, "fifo");
      // Both ends of a FIFO wait for each other; so a process feeds it.
      const script = 'mkfifo "$2" && exec cat "$1" > "$2"';
      const feeder = Bun.spawn(["sh", "-c", script, "sh", file, fifo], {
        stdio: ["ignore", "ignore", "ignore"],
      });
      held.defer(async () => {
        feeder.kill("SIGKILL");
        await feeder.exited;
      });
      while (statSync(fifo, { throwIfNoEntry: false }) === undefined) await Bun.sleep(1);
      return named(fifo, [bytes]);
    }
    case "stdin pipe":
      return named("-", [bytes], {
        stdin: "pipe",
        async feed({ stdin }) {
          // It may end before it has read everything.
          try {
            stdin.write(bytes);
            await stdin.end();
          } catch {}
        },
      });
    case "stdin file": {
      writeFileSync(file, bytes);
      const fd = openSync(file, "r");
      held.defer(() => closeSync(fd));
      return named("-", [bytes], { stdin: fd, file });
    }
    case "growing file": {
      // It begins with its header and a frame at least, or else nothing can begin.
      const first = bytes.subarray(0, Math.max(content.headerBytes, Math.ceil(bytes.length / 2) - cutBytes));
      writeFileSync(file, first);
      return named(file, [Buffer.from(first), bytes], {
        async feed(_, begun) {
          await begun();
          appendFileSync(file, bytes.subarray(first.length));
        },
      });
    }
    case "shrinking file": {
      writeFileSync(file, bytes);
      const last = bytes.subarray(0, Math.floor(bytes.length / 2));
      return named(file, [bytes, last], {
        async feed(_, begun) {
          await begun();
          truncateSync(file, last.length);
        },
      });
    }
    case "symlink": {
      writeFileSync(file, bytes);
      const link = join(folder, "link");
      symlinkSync(file, link);
      return named(link, [bytes], { file });
    }
    case "unreadable":
      writeFileSync(file, bytes);
      chmodSync(file, 0);
      // Not for root, which reads it all the same.
      return named(file, process.geteuid?.() === 0 ? [bytes] : [], { file });
    case "file":
      writeFileSync(file, bytes);
      return named(file, [bytes], { file });
  }
}

/** Bytes of /dev/zero that are looked at: more than the frames that encode.ts is told to read. */
const ZEROS = 64 * 1024;
