/** Descriptors of every kind that a client can send. */
import { ptr } from "bun:ffi";
import { check } from "../../../src/os/errno.ts";
import { EventFd } from "../../../src/os/eventfd.ts";
import { Fd, O_RDONLY, O_RDWR, openFile } from "../../../src/os/fd.ts";
import { libc } from "../../../src/os/libc.ts";
import { createMemfd } from "../../../src/os/memory.ts";
import { socketPair } from "../../../src/os/socket.ts";

const MFD_ALLOW_SEALING = 2;
/** From linux/fcntl.h. */
const F_ADD_SEALS = 1033;
const SEAL_SHRINK = 2;
const SEAL_GROW = 4;
const SEAL_WRITE = 8;
const O_PATH = 0o10000000;
const EFD_SEMAPHORE = 1;

/** Memory with only these seals. */
function memfd(name: string, sizeBytes: number, seals: number): Fd {
  const fd = new Fd(check(libc.memfd_create(name, MFD_ALLOW_SEALING), "create a memfd"));
  check(libc.ftruncate(fd.number, sizeBytes), "size a memfd");
  if (seals) check(libc.fcntl(fd.number, F_ADD_SEALS, seals), "seal a memfd");
  return fd;
}

/** The number of pipe2(2), from asm/unistd.h. */
const PIPE2 = process.arch === "x64" ? 293 : 59;

/** One end of a pipe whose other one is closed: 0 to read, 1 to write. */
function pipe(end: 0 | 1): Fd {
  const ends = new Int32Array(new ArrayBuffer(8));
  check(Number(libc.syscall(PIPE2, ptr(ends), 0, 0, 0, 0)), "create a pipe");
  libc.close(ends[1 - end]!);
  return new Fd(ends[end]!);
}

const makers = {
  sealed: () => createMemfd("campaign", 64 * 4096),
  "odd size": () => createMemfd("campaign", 5000),
  empty: () => createMemfd("campaign", 0),
  large: () => createMemfd("campaign", 2 ** 30),
  huge: () => createMemfd("campaign", 2 ** 43),
  "too large": () => createMemfd("campaign", 2 ** 45),
  loose: () => memfd("campaign", 1 << 20, 0),
  growing: () => memfd("campaign", 1 << 20, SEAL_SHRINK),
  "not writable": () => memfd("campaign", 1 << 20, SEAL_SHRINK | SEAL_GROW | SEAL_WRITE),
  "read only": () => {
    using fd = createMemfd("campaign", 1 << 20);
    return openFile(`/proc/self/fd/${fd.number}`, O_RDONLY);
  },
  "only a path": () => {
    using fd = createMemfd("campaign", 1 << 20);
    return openFile(`/proc/self/fd/${fd.number}`, O_PATH);
  },
  eventfd: () => new EventFd().fd,
  semaphore: () => new Fd(check(libc.eventfd(1, EFD_SEMAPHORE), "create an eventfd")),
  /** Blocking, and so full that a write waits. */
  "full eventfd": () => {
    const fd = new Fd(check(libc.eventfd(0, 0), "create an eventfd"));
    const full = new BigUint64Array(new ArrayBuffer(8)).fill(2n ** 64n - 2n);
    check(Number(libc.write(fd.number, ptr(full), 8)), "fill an eventfd");
    return fd;
  },
  pipe: () => pipe(0),
  "pipe's end": () => pipe(1),
  socket: () => {
    const [one, other] = socketPair();
    other[Symbol.dispose]();
    return one;
  },
  "regular file": () => openFile(import.meta.path, O_RDONLY),
  null: () => openFile("/dev/null", O_RDWR),
  zero: () => openFile("/dev/zero", O_RDWR),
  directory: () => openFile("/", O_RDONLY),
} satisfies Record<string, () => Fd>;

export type FileKind = keyof typeof makers;

/** How much of it a server may map; of the others nothing, because their pages may go away. */
const mappableBytes: Readonly<Partial<Record<FileKind, number>>> = {
  sealed: 64 * 4096,
  "odd size": 4096,
  large: 2 ** 30,
  huge: 2 ** 43,
  growing: Number.POSITIVE_INFINITY,
  "not writable": 1 << 20,
  "read only": 1 << 20,
};
export const mappableBytesOf = (kind: FileKind): number => mappableBytes[kind] ?? 0;
export const fileKinds = Object.keys(makers) as FileKind[];

/** The files of one session, each made when it is first sent. */
export class Files implements Disposable {
  readonly #files = new Map<FileKind, Fd>();

  get(kind: FileKind): number {
    let fd = this.#files.get(kind);
    if (!fd) {
      fd = makers[kind]();
      this.#files.set(kind, fd);
    }
    return fd.number;
  }

  /** Grows or shrinks a file that was sent before, as far as its seals allow. */
  resize(kind: FileKind, sizeBytes: number): void {
    libc.ftruncate(this.get(kind), sizeBytes);
  }

  [Symbol.dispose](): void {
    for (const fd of this.#files.values()) fd[Symbol.dispose]();
  }
}
