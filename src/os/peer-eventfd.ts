/**
 * Signals eventfds that another process created and sent to us.
 *
 * A write to one could block: O_NONBLOCK belongs to the open file that both processes share, so the owner can
 * clear it at any time, and setting it would make the owner's blocking reads fail. Instead, the kernel adds 1
 * to the eventfd when an asynchronous I/O request completes (io_submit(2), IOCB_FLAG_RESFD). That never
 * waits, regardless of the counter and the flags. The request is a read from an empty file.
 */
import { ptr } from "bun:ffi";
import { readlinkSync } from "node:fs";
import { constants } from "node:os";
import { check, lastErrno, retryInterrupted, SystemError } from "./errno.ts";
import type { Fd } from "./fd.ts";
import { libc } from "./libc.ts";
import { createMemfd } from "./memory.ts";
import { POLLOUT, poll } from "./poll.ts";

/** Numbers of system calls, from asm/unistd.h. */
const { IO_SETUP, IO_SUBMIT, IO_GETEVENTS } =
  process.arch === "x64"
    ? { IO_SETUP: 206, IO_SUBMIT: 209, IO_GETEVENTS: 208 }
    : { IO_SETUP: 0, IO_SUBMIT: 2, IO_GETEVENTS: 4 };

/** struct iocb, linux/aio_abi.h; opcode 0 is IOCB_CMD_PREAD. */
const Iocb = { FILDES: 20, BUF: 24, FLAGS: 56, RESFD: 60, BYTES: 64 } as const;
const IOCB_FLAG_RESFD = 1;
/** struct io_event. */
const EVENT_BYTES = 32;

/** Whether a descriptor is an eventfd. Does not query the file: its owner may not answer. */
export function isEventFd(fd: Fd): boolean {
  return readlinkSync(`/proc/self/fd/${fd.number}`) === "anon_inode:[eventfd]";
}

interface Requests {
  readonly context: bigint;
  readonly iocb: DataView<ArrayBuffer>;
  readonly list: BigUint64Array<ArrayBuffer>;
  /** Keeps the empty file open. */
  readonly file: Fd;
}

let requests: Requests | undefined | "none";

/** This thread's asynchronous I/O context; undefined if the kernel has none, or none left. */
function openRequests(): Requests | undefined {
  const word = new BigUint64Array(new ArrayBuffer(8));
  if (libc.syscall(IO_SETUP, 1, ptr(word), 0, 0, 0) < 0) return undefined;
  const file = createMemfd("nothing", 0);
  const iocb = new DataView(new ArrayBuffer(Iocb.BYTES));
  iocb.setUint32(Iocb.FILDES, file.number, true);
  iocb.setBigUint64(Iocb.BUF, BigInt(ptr(iocb)), true);
  iocb.setUint32(Iocb.FLAGS, IOCB_FLAG_RESFD, true);
  const list = new BigUint64Array(new ArrayBuffer(8));
  list[0] = BigInt(ptr(iocb));
  return { context: word[0]!, iocb, list, file };
}

/**
 * Adds 1 to another process's eventfd without ever waiting. Adds nothing if the counter is at its maximum:
 * the waiter already has a signal. Throws SystemError: EINVAL if it is not an eventfd.
 */
export function signalPeer(fd: Fd): void {
  requests ??= openRequests() ?? "none";
  if (requests === "none") return signalIfRoom(fd);
  const { context, iocb, list } = requests;
  iocb.setUint32(Iocb.RESFD, fd.number, true);
  const submit = () => Number(libc.syscall(IO_SUBMIT, context, 1, ptr(list), 0, 0));
  if (submit() >= 0) return;
  if (lastErrno() !== constants.errno.EAGAIN) throw new SystemError("signal an eventfd", lastErrno());
  // Completed requests take up room until they are collected.
  const events = new Uint8Array(new ArrayBuffer(64 * EVENT_BYTES));
  libc.syscall(IO_GETEVENTS, context, 0, 64, ptr(events), 0);
  check(submit(), "signal an eventfd");
}

/** Without asynchronous I/O. Waits only if the owner fills the counter between the poll and the write. */
function signalIfRoom(fd: Fd): void {
  if (!(poll([{ fd: fd.number, events: POLLOUT }], 0)[0]! & POLLOUT)) return;
  const one = new BigUint64Array(new ArrayBuffer(8)).fill(1n);
  check(
    retryInterrupted(() => Number(libc.write(fd.number, ptr(one), 8))),
    "signal an eventfd",
  );
}
