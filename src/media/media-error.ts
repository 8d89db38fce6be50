/** What an errno means to the user, and what to do about it. */
const HINTS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder; check the path",
  EACCES: "permission denied; check the file's mode and owner (ls -l), or run as its owner",
  EPERM: "permission denied; check the file's mode and owner (ls -l), or run as its owner",
  EISDIR: "it is a folder; name a file in it",
  ENOTDIR: "part of the path is a file, not a folder; check the path",
  EROFS: "the file system is read-only; write somewhere else",
  ENOSPC: "no space is left on the device; free some or write somewhere else",
  EDQUOT: "the disk quota is used up; free some space or write somewhere else",
  EFBIG: "the file reached the size limit; raise it (ulimit -f) or write somewhere else",
  EPIPE: "the program reading the output ended before it read everything; look there for the reason",
  EIO: "the disk or device failed; see dmesg",
  EBADF: "the descriptor is closed; run the command without closing its input or output",
  EMFILE: "too many files are open; raise the limit (ulimit -n)",
  ENXIO: "nothing answers at that path; start the other side first",
};

/**
 * A media file or pipe that can't be used. The message says what was tried, on which file, what was found, the likely
 * cause and the fix.
 */
export class MediaError extends Error {
  override readonly name = "MediaError";
  /** The errno by name ("ENOSPC", "EPIPE", ...) when a system call failed, else undefined. */
  readonly code: string | undefined;
  /** What the caller may say that would help: of the input, by the names of SourceOptions, or the output's container. */
  readonly missing: readonly ("size" | "fps" | "format" | "container")[];

  constructor(
    message: string,
    options: { code?: string | undefined; cause?: unknown; missing?: MediaError["missing"] } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = options.code;
    this.missing = options.missing ?? [];
  }
}

/** The errno name of a failed system call, or undefined for any other error. */
export function errnoName(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/**
 * Text from outside in quotes, as JSON has it: control characters, and those that reorder or hide others, are escaped,
 * because messages end up on terminals.
 */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (found) => `\\u${found.codePointAt(0)!.toString(16).padStart(4, "0")}`,
  );
}

/** A file name as one word of a shell's command line. */
export function shellWord(name: string): string {
  if (/[\p{Cc}\p{Cf}]/u.test(name)) return `$'${quoted(name).slice(1, -1).replaceAll("'", "\\'")}'`;
  return /["$`\\!]/.test(name) ? `'${name.replaceAll("'", "'\\''")}'` : `"${name}"`;
}

/**
 * Turns a failed system call into a MediaError.
 * @param tried what was done, to follow "cannot", the file's name included: `read "a.y4m"`
 * @param outcome what became of the file, as a closing sentence
 */
export function ioError(tried: string, error: unknown, outcome = ""): MediaError {
  const code = errnoName(error);
  const found = code ?? (error instanceof Error ? error.message : String(error));
  const hint = code && HINTS[code] ? `: ${HINTS[code]}` : "";
  return new MediaError(`cannot ${tried}: ${found}${hint}${outcome && `. ${outcome}`}`, {
    code,
    cause: error,
  });
}
