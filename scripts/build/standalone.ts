/** Standalone binaries: the verbs, the model and Bun in one file, for machines that have neither Bun nor vfiokit. */
import { mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Arch, arches } from "../../src/guest/arch.ts";
import { fetchBun, type Libc } from "../../src/guest/assets.ts";
import { packageRoot } from "../../src/guest/project.ts";
import { fetchLibvpx } from "../../src/vp9/codec/debian.ts";

/**
 * Targets of binaries, by Bun's names. On x64 they need SSE4.2 and no more: Bun 1.4 selects its AVX2 code at
 * run time, and has no separate "baseline" builds.
 */
export const targets = {
  "linux-x64": { arch: "x86_64", libc: "glibc" },
  "linux-x64-musl": { arch: "x86_64", libc: "musl" },
  "linux-arm64": { arch: "aarch64", libc: "glibc" },
  "linux-arm64-musl": { arch: "aarch64", libc: "musl" },
} as const satisfies Record<string, { arch: Arch; libc: Libc }>;

export type Target = keyof typeof targets;

/** Files that a model's process loads by path: Workers, and the model. */
const loadedFiles = [
  "scripts/build/message-thread.ts",
  "src/vp9/model/codec-thread.ts",
  "src/vp9/model/vp9.model.ts",
];

export interface Standalone {
  readonly target: Target;
  readonly path: string;
  readonly sizeBytes: number;
}

export interface StandaloneOptions {
  /** Told what is downloaded. */
  readonly log: (line: string) => void;
  /** Whether a binary for glibc contains Debian's libvpx9; true by default. One for musl never does. */
  readonly libvpx?: boolean;
}

/**
 * Builds one into a folder, as vfiokit-TARGET. It is complete or absent; a running one is not disturbed.
 * @throws Error if Bun or libvpx for the target can't be had, Bun is another version than the one that
 * builds, or can't build
 */
export async function buildStandalone(
  target: Target,
  folder: string,
  { log, libvpx = true }: StandaloneOptions,
): Promise<Standalone> {
  const { arch, libc } = targets[target];
  const bun = await fetchBun(arch, log, libc);
  if (!Buffer.from(await Bun.file(bun).arrayBuffer()).includes(`Bun/${Bun.version}`))
    throw new Error(
      `${bun} is not Bun ${Bun.version}, the version running this build; npm ci in the clone installs the pinned version, and npx bun runs it`,
    );
  const libraries = libvpx && libc === "glibc" ? [await libraryFor(arch, log)] : [];
  const { version } = (await Bun.file(join(packageRoot, "package.json")).json()) as { version: string };
  const path = join(folder, `vfiokit-${target}`);
  const unfinished = `${path}.${process.pid}`;
  makeFolder(folder);
  try {
    await Bun.build({
      entrypoints: [
        ...["scripts/vfiokit.ts", ...loadedFiles].map((name) => join(packageRoot, name)),
        ...libraries,
      ],
      loader: { ".so": "file" },
      // All in the folder where the program looks for them (ownFile).
      naming: { entry: "[name].[ext]", asset: "[name].[ext]" },
      splitting: true,
      external: ["@libav.js/variant-webm-vp9"],
      define: { "process.env.VFIOKIT_BUILD": JSON.stringify(`${version} for ${target}`) },
      compile: {
        target: `bun-${target}`,
        executablePath: bun,
        outfile: unfinished,
        // Root may run it in other users' folders.
        autoloadBunfig: false,
        autoloadDotenv: false,
      },
    });
    renameSync(unfinished, path);
  } catch (error) {
    const reasons: unknown[] = error instanceof AggregateError ? error.errors : [error];
    const messages = reasons.map((reason) => (reason instanceof Error ? reason.message : String(reason)));
    throw new Error(`${path} can't be built: ${messages.join("\n")}`, { cause: error });
  } finally {
    rmSync(unfinished, { force: true });
  }
  return { target, path, sizeBytes: statSync(path).size };
}

/** The path of Debian's libvpx for an architecture. */
async function libraryFor(arch: Arch, log: (line: string) => void): Promise<string> {
  try {
    return await fetchLibvpx(arches[arch].debian, log);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `Debian's libvpx for ${arch} can't be had: ${reason}\n--without-libvpx builds binaries that use the libvpx of the machine that they run on`,
      { cause },
    );
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`the folder ${path} can't be created (${code}); --outdir names another`, {
      cause: error,
    });
  }
}
