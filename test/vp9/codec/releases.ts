/** Debian's releases of libvpx, each with its own vpxenc. */
import { cpSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openArchive, type Suite } from "../../../src/debian/archive.ts";
import { cached } from "../../../src/debian/cache.ts";
import { arches, hostArch } from "../../../src/guest/arch.ts";
import { treeCommand } from "../../../src/guest/qemu.ts";
import type { CodecSettings } from "../../../src/vp9/codec/engine.ts";
import { type Clip, temporaryFolder } from "./reference.ts";

export const releases = {
  bookworm: { version: "1.12.0", soname: "libvpx.so.7" },
  trixie: { version: "1.15.0", soname: "libvpx.so.9" },
} as const satisfies Partial<Record<Suite, { version: string; soname: string }>>;

export interface Release {
  readonly library: string;
  /** vpxenc's command line without its arguments: with the release's own loader and C library. */
  readonly vpxenc: readonly string[];
}

/** Fetches a release's libvpx and vpxenc into the cache folder on first use (5 MB). */
export async function fetchRelease(suite: keyof typeof releases): Promise<Release> {
  if (hostArch === undefined) throw new Error(`Debian's libvpx does not run on ${process.arch}`);
  const { debian, triplet } = arches[hostArch];
  const tree = await cached(`vpx-tools-${suite}-${debian}`, async (folder) => {
    const archive = await openArchive(debian, folder, { suite });
    const into = join(folder, "tree");
    await archive.unpack(["vpx-tools"], into, { dependencies: true });
    // bookworm's C library is still in a separate /lib.
    const separate = join(into, "lib", triplet);
    if (existsSync(separate))
      cpSync(separate, join(into, "usr/lib", triplet), { recursive: true, verbatimSymlinks: true });
    return into;
  });
  return {
    library: join(tree, "usr/lib", triplet, releases[suite].soname),
    vpxenc: treeCommand(tree, "usr/bin/vpxenc", []).command,
  };
}

/** Packets as lines to compare. */
export const summary = (packets: readonly { pts: number; data: Uint8Array }[]): string[] =>
  packets.map(({ pts, data }) => `${pts}: ${data.length} bytes, ${Bun.hash(data).toString(16)}`);

/** What the engine makes of a clip with a library, and the version that it reports. */
export async function encodeWith(
  library: string,
  { bytes, ...clip }: Clip,
  settings: CodecSettings,
): Promise<{ version: string; packets: string[] }> {
  using folder = temporaryFolder();
  const frames = join(folder.path, "frames.yuv");
  writeFileSync(frames, bytes);
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "encode-with.ts"), library, frames], {
    stdin: new Blob([JSON.stringify({ clip, settings })]),
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`encoding with ${library} failed`);
  return JSON.parse(text) as { version: string; packets: string[] };
}
