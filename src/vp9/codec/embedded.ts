/** The libvpx inside a standalone binary for glibc: Debian's libvpx9, put there by scripts/build/standalone.ts. */
import { existsSync, readFileSync } from "node:fs";
import { ownFile } from "../../os/bun-program.ts";
import { writeAt } from "../../os/fd.ts";
import { createMemfd } from "../../os/memory.ts";
import { debianArch, debianLibrary } from "./debian.ts";
import { CodecError, type Engine } from "./engine.ts";
import { loadLibvpx } from "./libvpx.ts";

/**
 * Loads the binary's own libvpx from memory: no file is left behind, whatever ends the process, and no other
 * user can change the code.
 *
 * @throws {CodecError} if this program has none or can't load it, in one line
 */
export function loadEmbedded(): Engine {
  const path = embeddedLibrary();
  if (path === undefined) throw new CodecError(`embedded: ${absence()}`);
  try {
    const bytes = readFileSync(path);
    using file = createMemfd("libvpx", bytes.byteLength);
    writeAt(file, bytes, 0, "copy libvpx into memory");
    return loadLibvpx([`/proc/self/fd/${file.number}`]);
  } catch (cause) {
    throw new CodecError(`embedded: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

/** Where the program has its own libvpx; undefined if it has none. */
function embeddedLibrary(): string | undefined {
  const arch = debianArch();
  if (!Bun.isStandaloneExecutable || arch === undefined) return undefined;
  const path = ownFile(`./${debianLibrary(arch)}`, import.meta.url);
  return existsSync(path) ? path : undefined;
}

function absence(): string {
  if (!Bun.isStandaloneExecutable) return "only a standalone binary has it";
  if (process.env.VFIOKIT_BUILD?.endsWith("-musl"))
    return "a binary for musl has no libvpx of its own: install the system's (on Alpine: apk add libvpx)";
  return "this binary was built without it";
}
