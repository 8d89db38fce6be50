import { dlopen, type FFIFunction, type Library } from "bun:ffi";

/** A shared library, opened under one of several names. */
export interface OpenLibrary<Symbols extends Record<string, FFIFunction>> {
  /** The name that opened, as given in the candidates. */
  readonly soname: string;
  /** The functions asked for, callable with the types they were declared with. */
  readonly symbols: Library<Symbols>["symbols"];
  /** Unloads the library; its symbols must not be called afterwards. */
  close(): void;
}

/** No candidate opened with all symbols: the message gives every name and the loader's reason. */
export class LibraryError extends Error {
  override readonly name = "LibraryError";
}

const RTLD_LAZY = 1;

/**
 * Opens the first of `candidates` (sonames or paths) that exists and has every symbol. Searches only where
 * dlopen(3) does. bun:ffi alone would also open a file in the working directory, so the C library (musl, or
 * glibc from 2.34) loads each candidate first, and bun:ffi finds it loaded.
 *
 * @throws {LibraryError} naming every candidate and why it did not open
 */
export function openLibrary<const Symbols extends Record<string, FFIFunction>>(
  candidates: readonly string[],
  symbols: Symbols,
): OpenLibrary<Symbols> {
  const loader = dlopen("libc.so.6", {
    dlopen: { args: ["cstring", "i32"], returns: "ptr" },
    dlerror: { args: [], returns: "cstring" },
    dlclose: { args: ["ptr"], returns: "i32" },
  }).symbols;
  const tried: string[] = [];
  for (const soname of candidates) {
    const handle = loader.dlopen(soname, RTLD_LAZY);
    if (handle === null) {
      const reason = String(loader.dlerror());
      tried.push(`${soname} (${reason.includes("No such file") ? "not found" : reason})`);
      continue;
    }
    try {
      const library = dlopen(soname, symbols);
      return { soname, symbols: library.symbols, close: () => library.close() };
    } catch (error) {
      tried.push(`${soname} (${error instanceof Error ? error.message : error})`);
    } finally {
      loader.dlclose(handle);
    }
  }
  throw new LibraryError(`no such library: tried ${tried.join(", ")}`);
}
