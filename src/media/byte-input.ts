import { closeSync, fstatSync, readSync } from "node:fs";
import { descriptorState, openDescriptor, readSome } from "./descriptor.ts";
import { ioError, MediaError, quoted, shellWord } from "./media-error.ts";

/** Bytes from a file or a pipe, read straight into the caller's memory. One call at a time. */
export interface ByteInput extends Disposable {
  /** For messages: the path in quotes, or "standard input". */
  readonly name: string;
  /** For the command in a message: the path as a word of a shell's command line, or - for standard input. */
  readonly word: string;
  /** Bytes consumed so far. */
  readonly position: number;
  /** Total size when opened; null if only the end of input will tell. */
  readonly sizeBytes: number | null;
  /** Total size now: others may write to the file while it is read. Null like sizeBytes. */
  sizeNowBytes(): number | null;
  /** Fills `into`. Returns the byte count, less than asked only at the end of input. Throws MediaError. */
  fill(into: Uint8Array): number | Promise<number>;
  /** The next `count` bytes without consuming them; fewer only if the input ends first. Throws MediaError. */
  lookAhead(count: number): Uint8Array | Promise<Uint8Array>;
}

/** A regular file: synchronous reads at explicit positions, one system call per fill. */
class FileInput implements ByteInput {
  position = 0;
  readonly sizeBytes: number;
  readonly name: string;
  readonly word: string;
  readonly #fd: number;
  readonly #base: number;
  #open = true;

  constructor(input: string, fd: number, base: number) {
    this.name = nameOf(input);
    this.word = wordOf(input);
    this.#fd = fd;
    this.#base = base;
    this.sizeBytes = this.sizeNowBytes();
  }

  sizeNowBytes(): number {
    return Math.max(0, fstatSync(this.#fd).size - this.#base);
  }

  fill(into: Uint8Array): number {
    if (!this.#open) throw new MediaError(`${this.name} is closed`);
    const got = this.#readAt(into);
    this.position += got;
    return got;
  }

  lookAhead(count: number): Uint8Array {
    const seen = new Uint8Array(count);
    return seen.subarray(0, this.#readAt(seen));
  }

  #readAt(into: Uint8Array): number {
    let got = 0;
    try {
      while (got < into.length) {
        const more = readSync(this.#fd, into, got, into.length - got, this.#base + this.position + got);
        if (more === 0) break;
        got += more;
      }
    } catch (error) {
      throw ioError(`read ${this.name} at byte ${this.position + got}`, error);
    }
    return got;
  }

  [Symbol.dispose](): void {
    if (this.#open && this.#fd !== 0) closeSync(this.#fd);
    this.#open = false;
  }
}

/**
 * A pipe, terminal, socket or device. Reads off the main thread, so that signals and completions are still
 * served.
 */
class StreamInput implements ByteInput {
  position = 0;
  readonly sizeBytes = null;
  readonly name: string;
  readonly word: string;
  readonly #fd: number;
  /** A pipe holds no more than this at once. */
  readonly #chunk = new Uint8Array(new ArrayBuffer(64 * 1024));
  #ahead = new Uint8Array(0);
  #ended = false;
  #reading = false;
  #open = true;

  constructor(input: string, fd: number) {
    this.name = nameOf(input);
    this.word = wordOf(input);
    this.#fd = fd;
  }

  sizeNowBytes(): null {
    return null;
  }

  async fill(into: Uint8Array): Promise<number> {
    let got = Math.min(into.length, this.#ahead.length);
    if (got > 0) {
      into.set(this.#ahead.subarray(0, got));
      this.#ahead = this.#ahead.subarray(got);
    }
    while (got < into.length && !this.#ended) {
      // Through a buffer of its own: a read that was given up may outlive `into`.
      const count = await this.#read(this.#chunk.subarray(0, into.length - got), 0);
      if (!this.#open) break;
      into.set(this.#chunk.subarray(0, count), got);
      got += count;
    }
    if (!this.#open) throw new MediaError(`${this.name} was closed while it was being read`);
    this.position += got;
    return got;
  }

  async lookAhead(count: number): Promise<Uint8Array> {
    while (this.#ahead.length < count && !this.#ended) {
      const grown = new Uint8Array(this.#ahead.length + 256);
      grown.set(this.#ahead);
      const got = await this.#read(grown, this.#ahead.length);
      this.#ahead = grown.subarray(0, this.#ahead.length + got);
    }
    return this.#ahead.subarray(0, count);
  }

  async #read(into: Uint8Array, offset: number): Promise<number> {
    this.#reading = true;
    try {
      const got = await readSome(this.#fd, into, offset);
      this.#ended ||= got === 0;
      return got;
    } catch (error) {
      throw ioError(`read ${this.name} at byte ${this.position + offset}`, error);
    } finally {
      this.#reading = false;
      if (!this.#open) this.#close();
    }
  }

  #close(): void {
    if (this.#fd !== 0) closeSync(this.#fd);
  }

  /** A read under way still uses the descriptor; it is then closed when the read returns. */
  [Symbol.dispose](): void {
    if (this.#open && !this.#reading) this.#close();
    this.#open = false;
    this.#ended = true;
  }
}

const nameOf = (input: string) => (input === "-" ? "standard input" : quoted(input));
const wordOf = (input: string) => (input === "-" ? "-" : shellWord(input));

/** Opens `input` for reading; "-" is standard input. Throws MediaError naming the errno. */
export async function openByteInput(input: string): Promise<ByteInput> {
  let fd = 0;
  try {
    if (input !== "-") fd = await openDescriptor(input, "r");
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw Object.assign(new Error("is a directory"), { code: "EISDIR" });
    if (!stat.isFile()) return new StreamInput(input, fd);
    const base = fd === 0 ? descriptorState(fd).position : 0;
    return new FileInput(input, fd, base);
  } catch (error) {
    if (fd > 0) closeSync(fd);
    throw ioError(`open ${nameOf(input)} for reading`, error);
  }
}
