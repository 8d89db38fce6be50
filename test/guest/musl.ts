/**
 * musl for a guest. Debian has it, but without the C++ library that Bun needs there, so that is linked from the objects
 * of Debian's own, which were compiled for glibc.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openArchive } from "../../src/debian/archive.ts";
import { cached } from "../../src/debian/cache.ts";
import { type Arch, arches } from "../../src/guest/arch.ts";

/** GCC's release in Debian's suite. */
const GCC = "14";
/** What glibc alone calls by these names. */
const renamed = { __getauxval: "getauxval", __isoc23_strtoul: "strtoul", __strftime_l: "strftime_l" };
/** What musl has not got. Bun calls no function that needs it: in its place is one that ends the program. */
const absent = ["arc4random", "_dl_find_object", "__cxa_thread_atexit_impl", "strfromf128", "strtof128"];
const TERMINATE = "_ZSt9terminatev";
/** A flag that is 0 in musl, which has none: the beginning of a table of functions is a 0. */
const flag = { name: "__libc_single_threaded", zero: "_ZTVN10__cxxabiv117__class_type_infoE" };

export interface Musl {
  /** The C library, under the name that it has in /lib. */
  readonly loader: string;
  /** The C++ library, which belongs there, too. */
  readonly cxx: string;
}

/** Fetches it on first use; needs ld and objcopy for the architecture (binutils). */
export async function fetchMusl(arch: Arch): Promise<Musl> {
  const names = { loader: `ld-musl-${arch}.so.1`, cxx: "libstdc++.so.6" };
  // Made anew when this file changes.
  const recipe = Bun.hash(readFileSync(import.meta.path)).toString(16);
  const entry = await cached(`musl-${arch}-${recipe}`, async (folder) => {
    const archive = await openArchive(arches[arch].debian, folder);
    const tree = join(folder, "tree");
    await archive.unpack(["musl", `libstdc++-${GCC}-dev`, `libgcc-${GCC}-dev`], tree, {
      dependencies: false,
    });
    const { triplet } = arches[arch];
    const gcc = join(tree, "usr/lib/gcc", triplet, GCC);
    const [cxx, unwinder, helpers] = ["libstdc++.a", "libgcc_eh.a", "libgcc.a"].map((name) =>
      join(gcc, name),
    );
    const renames = Object.entries(renamed).map(([from, to]) => `--redefine-sym=${from}=${to}`);
    for (const path of [cxx!, unwinder!, helpers!]) run(`${triplet}-objcopy`, ...renames, path);
    const hidden = join(folder, "hidden");
    writeFileSync(hidden, `{ local: ${[...absent, flag.name].map((name) => `${name};`).join(" ")} };`);
    const made = join(folder, "made");
    mkdirSync(made);
    run(
      ...[`${triplet}-ld`, "-shared", "-soname", names.cxx, "-o", join(made, names.cxx)],
      ...[`--version-script=${hidden}`, ...absent.map((name) => `--defsym=${name}=${TERMINATE}`)],
      ...[`--defsym=${flag.name}=${flag.zero}`, join(gcc, "crtbeginS.o")],
      ...["--whole-archive", cxx!, "--no-whole-archive", "--start-group", unwinder!, helpers!, "--end-group"],
      join(gcc, "crtendS.o"),
    );
    copyFileSync(join(tree, "usr/lib", `${arch}-linux-musl`, "libc.so"), join(made, names.loader));
    return made;
  });
  return { loader: join(entry, names.loader), cxx: join(entry, names.cxx) };
}

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")} failed: ${stderr}`);
}
