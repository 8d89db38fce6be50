/**
 * What each door of the package exports, from the declarations that the compiler makes of the sources. TypeDoc does not work with
 * TypeScript 7, which has no API but this one; it is called unstable, and package.json has the exact version.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Node } from "typescript/unstable/ast";
import {
  API,
  type Checker,
  type Symbol as Named,
  type Project,
  SymbolFlags,
} from "typescript/unstable/async";
import { type Declaration, declarationOf, namesIn } from "./declaration.ts";

const root = resolve(import.meta.dir, "../..");
const TIMEOUT_MS = 120_000;

export interface Door {
  /** "vfiokit/bus". */
  readonly specifier: string;
  /** What its file says of it. */
  readonly about: string;
  readonly exports: readonly Entry[];
}

export interface Reference {
  /** In package.json's order. */
  readonly doors: readonly Door[];
  /** By their ids: all that the doors export, and the types that it uses. */
  readonly entries: ReadonlyMap<string, Entry>;
}

/** A name and its declarations: several for overloads, or for a type and a value of one name. */
export interface Entry {
  readonly name: string;
  /** The same in all doors that export it. */
  readonly id: string;
  readonly isType: boolean;
  readonly declarations: readonly Declaration[];
  /** Ids of the types that it names. */
  readonly uses: readonly string[];
}

/** Throws Error: the sources have mistakes. */
export async function readReference(): Promise<Reference> {
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-docs-"));
  try {
    await emitDeclarations(folder);
    const api = new API({ cwd: folder });
    try {
      const snapshot = await api.updateSnapshot({ openProjects: [join(folder, "tsconfig.json")] });
      const reader = openReader(snapshot.getProjects()[0]!, folder);
      const doors: Door[] = [];
      for (const [door, path] of doorFiles())
        doors.push(await reader.read(`vfiokit${door.slice(1)}`, join(folder, path)));
      return { doors, entries: reader.known };
    } finally {
      await api.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Each door with its declarations' file, as package.json has them: "./types/exports/bus.d.ts". */
function doorFiles(): [door: string, path: string][] {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    exports: Record<string, { types?: string }>;
  };
  return Object.entries(exports).flatMap(([door, { types }]) =>
    types === undefined ? [] : [[door, types.replace(/^\.\/types\//, "")] as [string, string]],
  );
}

async function emitDeclarations(folder: string): Promise<void> {
  const tsc = join(root, "node_modules/.bin/tsc");
  const child = Bun.spawn([tsc, "-p", join(root, "tsconfig.types.json"), "--outDir", folder], {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: TIMEOUT_MS,
  });
  const printed = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`the declarations can't be made:\n${printed}`);
  const compilerOptions = {
    ...{ target: "ESNext", lib: ["ESNext"], module: "Preserve", moduleResolution: "bundler", strict: true },
    ...{ allowImportingTsExtensions: true, noEmit: true, skipLibCheck: true },
    types: [join(root, "node_modules/@types/bun")],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions }));
}

function openReader({ program, checker }: Project, folder: string) {
  const known = new Map<string, Entry>();
  // globals.ts only stands in for types of others.
  const isOurs = (path: string) => path.startsWith(`${folder}/`) && !path.endsWith("/exports/globals.d.ts");

  async function read(specifier: string, path: string): Promise<Door> {
    const file = (await program.getSourceFile(path))!;
    const about =
      /^\/\*\*(.*?)\*\//s
        .exec(file.text)?.[1]
        ?.replace(/\s*\n \*\s*/g, " ")
        .trim() ?? "";
    const names = await checker.getExportsOfModule((await checker.getSymbolAtLocation(file))!);
    const exports: Entry[] = [];
    for (const name of names) {
      const entry = await entryOf(await unalias(checker, name), name.name);
      if (entry) exports.push(entry);
    }
    return { specifier, about, exports };
  }

  /** Undefined: it comes from elsewhere, from Bun's types or the language's. */
  async function entryOf(symbol: Named, name: string): Promise<Entry | undefined> {
    const handles = symbol.declarations.filter(({ path }) => isOurs(path));
    if (handles.length === 0 || (symbol.flags & SymbolFlags.TypeParameter) !== 0) return undefined;
    const id = `${handles[0]!.path} ${symbol.name}`;
    const before = known.get(id);
    if (before) return before;
    const fileComment = fileCommentOf(handles[0]!.path.slice(folder.length));
    const nodes: Node[] = [];
    for (const handle of handles) nodes.push((await handle.resolve())!);
    const uses: string[] = [];
    const isType = (symbol.flags & SymbolFlags.Value) === 0;
    known.set(id, {
      name,
      id,
      isType,
      declarations: nodes.map((node) => declarationOf(node, fileComment)),
      uses,
    });
    for (const identifier of nodes.flatMap(namesIn)) {
      const used = await checker.getSymbolAtLocation(identifier);
      const entry = used && (await entryOf(await unalias(checker, used), used.name));
      if (entry && entry.id !== id && !uses.includes(entry.id)) uses.push(entry.id);
    }
    return known.get(id)!;
  }

  return { read, known };
}

const unalias = async (checker: Checker, symbol: Named) =>
  (symbol.flags & SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol);

/** What a source's first comment says, if it is not the first declaration's. */
function fileCommentOf(path: string): string {
  const source = readFileSync(join(root, "src", path.replace(/\.d\.ts$/, ".ts")), "utf8");
  return /^\/\*\*((?:(?!\*\/).)*)\*\/\n(?!export)/s.exec(source)?.[1] ?? "";
}
