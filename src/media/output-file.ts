import { closeSync, constants, fstatSync, ftruncateSync, type PathLike, statSync, writeSync } from "node:fs";
import { descriptorState, openDescriptor, writeSome } from "./descriptor.ts";
import { ioError, MediaError, quoted } from "./media-error.ts";

const STDOUT = 1;
/** Parts of an append that are this small together are written at once. */
const JOINED_BYTES = 64 * 1024;

/**
 * The file that a container is written to. Regular files are written synchronously at explicit positions;
 * pipes, terminals and sockets off the main thread, waiting (not spinning) while a non-blocking one is full.
 */
export class OutputFile {
  /** For messages: the path in quotes, or "standard output". */
  readonly name: string;
  /** Whether written bytes can be changed: yes in a regular file, in standard output's only if it was empty. */
  readonly seekable: boolean;
  /** Bytes in the file, all of them whole appends. */
  size = 0;
  readonly #fd: number;
  #joined = new Uint8Array(0);
  #open = true;

  private constructor(name: string, fd: number) {
    this.name = name;
    this.#fd = fd;
    const stat = fstatSync(fd);
    this.seekable = stat.isFile() && (fd !== STDOUT || (stat.size === 0 && !descriptorState(fd).appends));
  }

  /**
   * Creates or empties the file; "-" is standard output, used as it is.
   * @param notSameAs the input ("-" for standard input); the same file is refused before anything is lost
   * @throws MediaError naming the errno, or the input
   */
  static async open(output: string, notSameAs?: string): Promise<OutputFile> {
    const name = output === "-" ? "standard output" : quoted(output);
    if (
      notSameAs !== undefined &&
      sameFile(output === "-" ? STDOUT : output, notSameAs === "-" ? 0 : notSameAs)
    )
      throw new MediaError(
        `${name} is also the input: writing it would destroy the video being read. Give another output file`,
      );
    try {
      const { O_WRONLY, O_CREAT, O_TRUNC } = constants;
      return new OutputFile(
        name,
        output === "-" ? STDOUT : await openDescriptor(output, O_WRONLY | O_CREAT | O_TRUNC),
      );
    } catch (error) {
      throw ioError(`open ${name} for writing`, error);
    }
  }

  /** Appends bytes: all, or (if seekable) none of them. Throws MediaError with the errno as its code. */
  append(...parts: Uint8Array[]): void | Promise<void> {
    if (!this.#open) throw new MediaError(`${this.name} is closed: nothing can be added to it`);
    if (!this.seekable) return this.#stream(parts);
    let end = this.size;
    try {
      for (const part of this.#join(parts)) {
        this.#writeAt(part, end);
        end += part.length;
      }
    } catch (error) {
      this.#cutBack();
      throw this.#error(error);
    }
    this.size = end;
  }

  /** Changes bytes already written. Seekable files only. Throws MediaError with the errno as its code. */
  patch(bytes: Uint8Array, position: number): void {
    try {
      this.#writeAt(bytes, position);
    } catch (error) {
      throw this.#error(error);
    }
  }

  /** Closes the file (not standard output). Harmless when repeated. Throws MediaError (network disks fail here). */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    try {
      if (this.#fd !== STDOUT) closeSync(this.#fd);
    } catch (error) {
      throw this.#error(error);
    }
  }

  /** Small parts as one, which the next call overwrites: a packet and its header are one write then. */
  #join(parts: readonly Uint8Array[]): readonly Uint8Array[] {
    const sizeBytes = parts.reduce((sum, { length }) => sum + length, 0);
    if (parts.length < 2 || sizeBytes > JOINED_BYTES) return parts;
    if (this.#joined.length === 0) this.#joined = new Uint8Array(new ArrayBuffer(JOINED_BYTES));
    let at = 0;
    for (const part of parts) {
      this.#joined.set(part, at);
      at += part.length;
    }
    return [this.#joined.subarray(0, sizeBytes)];
  }

  /** Truncates what a failed write left beyond the last whole append, if the file can still be changed. */
  #cutBack(): void {
    try {
      ftruncateSync(this.#fd, this.size);
    } catch {
      // The failed write is what gets reported.
    }
  }

  #writeAt(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; )
      done += writeSync(this.#fd, bytes, done, bytes.length - done, position + done);
  }

  async #stream(parts: Uint8Array[]): Promise<void> {
    try {
      for (const part of parts) {
        for (let done = 0; done < part.length; ) {
          const count = await writeSome(this.#fd, part, done);
          done += count;
          this.size += count;
        }
      }
    } catch (error) {
      throw this.#error(error);
    }
  }

  #error(error: unknown): MediaError {
    const kept = this.seekable && this.size > 0 ? "What was written before is kept and can be played" : "";
    return ioError(`write ${this.name} after ${this.size} bytes`, error, kept);
  }
}

/** Compares regular files only: both ends of a terminal are one device, too, and that does no harm. */
function sameFile(a: PathLike | number, b: PathLike | number): boolean {
  const [first, second] = [identity(a), identity(b)];
  return first !== null && first === second;
}

function identity(file: PathLike | number): string | null {
  try {
    const stat =
      typeof file === "number" ? fstatSync(file, { bigint: true }) : statSync(file, { bigint: true });
    return stat.isFile() ? `${stat.dev}:${stat.ino}` : null;
  } catch {
    return null; // not there, so not the same
  }
}
