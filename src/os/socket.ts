/** UNIX stream sockets that carry file descriptors: unix(7), sendmsg(2), cmsg(3). */
import { ptr } from "bun:ffi";
import { constants } from "node:os";
import { check, errnoName, lastErrno, retryInterrupted, SystemError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { libc } from "./libc.ts";
import { BACKLOG, MAX_FDS, MAX_SOCKET_PATH_BYTES, SEND_MS } from "./limits.ts";
import { POLLIN, POLLOUT, poll } from "./poll.ts";

const AF_UNIX = 1;
const SHUT_RDWR = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
/** From asm-generic/socket.h; on 64-bit machines it takes a struct timeval of two 64-bit words. */
const SO_RCVTIMEO = 20;
/** From linux/fcntl.h. */
const F_SETFL = 4;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = 0x8;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;

/** struct sockaddr_un: u16 family, then the path and NUL. */
function socketAddress(path: string): Uint8Array {
  const name = new TextEncoder().encode(path);
  if (name.length > MAX_SOCKET_PATH_BYTES) {
    throw new Error(
      `socket path ${path} is ${name.length} bytes long; the kernel accepts at most ${MAX_SOCKET_PATH_BYTES}: use a shorter one`,
    );
  }
  const address = new Uint8Array(new ArrayBuffer(110));
  address[0] = AF_UNIX;
  address.set(name, 2);
  return address;
}

function newSocket(flags = 0): Fd {
  return new Fd(check(libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), "create a UNIX socket"));
}

/** Connects to a listening socket without waiting. Throws SystemError: EAGAIN when its backlog is full. */
export function connectUnix(path: string): Fd {
  const fd = newSocket(SOCK_NONBLOCK);
  const address = socketAddress(path);
  try {
    check(
      retryInterrupted(() => libc.connect(fd.number, ptr(address), address.length)),
      `connect to ${path}`,
    );
    check(libc.fcntl(fd.number, F_SETFL, 0), `make the socket to ${path} blocking`);
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
  return fd;
}

/** Binds and listens; the path must not exist. Throws SystemError. */
export function listenUnix(path: string): Fd {
  const address = socketAddress(path);
  const fd = newSocket();
  try {
    check(libc.bind(fd.number, ptr(address), address.length), `bind a socket to ${path}`);
    check(libc.listen(fd.number, BACKLOG), `listen on ${path}`);
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
  return fd;
}

/**
 * Whether a process still has the socket of this path, bound or listening, which does not notice it. False for one that its
 * process left behind, and for a path that is no socket's. Throws SystemError.
 */
export function isBound(path: string): boolean {
  const address = socketAddress(path);
  // A socket of another type can't connect: EPROTOTYPE. The kernel looks for the owner before it compares types.
  using probe = new Fd(check(libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "create a UNIX socket"));
  if (retryInterrupted(() => libc.connect(probe.number, ptr(address), address.length)) >= 0) return true;
  const errno = lastErrno();
  if (errno === constants.errno.EPROTOTYPE) return true;
  if (errno === constants.errno.ECONNREFUSED || errno === constants.errno.ENOENT) return false;
  throw new SystemError(`look for the owner of ${path}`, errno);
}

/** Waits for the next connection of a listening socket and accepts it. Throws SystemError. */
export function acceptUnix(listener: Fd): Fd {
  return new Fd(
    check(
      retryInterrupted(() => libc.accept4(listener.number, null, null, SOCK_CLOEXEC)),
      "accept a connection",
    ),
  );
}

/** Two sockets connected to each other. Throws SystemError. */
export function socketPair(): [Fd, Fd] {
  const pair = new Int32Array(new ArrayBuffer(8));
  check(libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ptr(pair)), "create a socket pair");
  return [new Fd(pair[0]!), new Fd(pair[1]!)];
}

/** The peer closed the connection. */
export class Disconnected extends Error {
  override readonly name = "Disconnected";
}

/** Sending or receiving timed out. */
export class SocketTimeout extends Error {
  override readonly name = "SocketTimeout";
}

/** `struct msghdr` 56 bytes, one `struct iovec` 16, control buffer for MAX_FDS descriptors. */
const IOVEC = 56;
const CONTROL = 72;
const CMSG_HEADER = 16;
const CONTROL_BYTES = CMSG_HEADER + MAX_FDS * 4;

/**
 * A connected stream that sends whole buffers and receives exact lengths, with descriptors, each within a
 * time limit. Reading exactly the length that a message's header announces keeps its descriptors apart from
 * the next message's.
 */
export class FdStream implements Disposable {
  readonly fd: Fd;
  readonly #block = new ArrayBuffer(CONTROL + CONTROL_BYTES);
  readonly #view = new DataView(this.#block);
  readonly #header = ptr(this.#block);
  /** What SO_RCVTIMEO is set to. */
  #waitMs = 0;

  constructor(fd: Fd) {
    this.fd = fd;
    this.#view.setBigUint64(16, BigInt(this.#header + IOVEC), true);
    this.#view.setBigUint64(24, 1n, true);
    this.#view.setBigUint64(IOVEC, 0n, true);
  }

  #prepare(bytes: Uint8Array, offset: number, controlBytes: number): void {
    this.#setWord(IOVEC, ptr(bytes) + offset);
    this.#setWord(IOVEC + 8, bytes.byteLength - offset);
    this.#setWord(32, controlBytes ? this.#header + CONTROL : 0);
    this.#setWord(40, controlBytes);
    this.#view.setInt32(48, 0, true);
  }

  /** Stores 64 bits, in half of the time that a bigint takes. */
  #setWord(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
    this.#view.setUint32(at + 4, value / 2 ** 32, true);
  }

  /** Makes the next recvmsg wait at most so long. */
  #waitAtMost(ms: number): void {
    if (ms === this.#waitMs) return;
    const time = new BigUint64Array(new ArrayBuffer(16));
    time[0] = BigInt(Math.floor(ms / 1000));
    time[1] = BigInt(Math.max(1, Math.floor((ms % 1000) * 1000)));
    check(
      libc.setsockopt(this.fd.number, SOL_SOCKET, SO_RCVTIMEO, ptr(time), time.byteLength),
      "limit how long a socket waits",
    );
    this.#waitMs = ms;
  }

  /** Sends all of `bytes`, `fds` with the first part. Throws Disconnected, SocketTimeout, SystemError. */
  send(bytes: Uint8Array, fds: readonly number[] = [], timeoutMs = SEND_MS): void {
    if (fds.length > MAX_FDS)
      throw new RangeError(`${fds.length} descriptors in one message; at most ${MAX_FDS}`);
    const deadline = performance.now() + timeoutMs;
    for (let sent = 0; sent < bytes.byteLength; ) {
      const carried = sent === 0 ? fds : [];
      const controlBytes = carried.length ? (CMSG_HEADER + carried.length * 4 + 7) & ~7 : 0;
      this.#prepare(bytes, sent, controlBytes);
      if (carried.length) {
        this.#view.setBigUint64(CONTROL, BigInt(CMSG_HEADER + carried.length * 4), true);
        this.#view.setInt32(CONTROL + 8, SOL_SOCKET, true);
        this.#view.setInt32(CONTROL + 12, SCM_RIGHTS, true);
        for (const [i, fd] of carried.entries()) this.#view.setInt32(CONTROL + CMSG_HEADER + i * 4, fd, true);
      }
      const count = Number(libc.sendmsg(this.fd.number, this.#header, MSG_NOSIGNAL | MSG_DONTWAIT));
      if (count >= 0) sent += count;
      else this.#waitFor(POLLOUT, lastErrno(), deadline, "send");
    }
  }

  /**
   * Fills all of `bytes`. Returns the descriptors received with them, which the caller owns (close-on-exec).
   * `isExpected`: nothing has arrived yet, so the first read waits in the kernel instead of looking first, which saves two
   * system calls. Throws Disconnected, SocketTimeout, SystemError, and closes the descriptors received so far.
   */
  receive(bytes: Uint8Array, timeoutMs: number, isExpected = false): Fd[] {
    const deadline = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
    const fds: Fd[] = [];
    let flags = MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
    try {
      if (isExpected && timeoutMs > 0 && Number.isFinite(timeoutMs)) {
        this.#waitAtMost(timeoutMs);
        flags = MSG_CMSG_CLOEXEC;
      }
      for (let got = 0; got < bytes.byteLength; ) {
        this.#prepare(bytes, got, CONTROL_BYTES);
        const count = Number(libc.recvmsg(this.fd.number, this.#header, flags));
        // Only the first one waits that way: its time limit is for all of them.
        flags = MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
        if (count < 0) {
          this.#waitFor(POLLIN, lastErrno(), deadline, "receive");
          continue;
        }
        this.#takeFds(fds);
        if (count === 0) throw new Disconnected("the peer closed the connection");
        got += count;
      }
    } catch (error) {
      for (const fd of fds) fd[Symbol.dispose]();
      throw error;
    }
    return fds;
  }

  /** Whether data, or the end of the connection, can be received. Waits for it up to `timeoutMs`. */
  readable(timeoutMs = 0): boolean {
    return poll([{ fd: this.fd.number, events: POLLIN }], timeoutMs)[0] !== 0;
  }

  #takeFds(into: Fd[]): void {
    const controlBytes = Number(this.#view.getBigUint64(40, true));
    for (let at = CONTROL; at + CMSG_HEADER <= CONTROL + controlBytes; ) {
      const length = Number(this.#view.getBigUint64(at, true));
      if (length < CMSG_HEADER) break;
      if (
        this.#view.getInt32(at + 8, true) === SOL_SOCKET &&
        this.#view.getInt32(at + 12, true) === SCM_RIGHTS
      ) {
        for (let i = at + CMSG_HEADER; i + 4 <= at + length; i += 4)
          into.push(new Fd(this.#view.getInt32(i, true)));
      }
      at += (length + 7) & ~7;
    }
    if (this.#view.getInt32(48, true) & MSG_CTRUNC) {
      throw new Error(`the peer sent more than ${MAX_FDS} file descriptors in one message`);
    }
  }

  #waitFor(events: number, errno: number, deadline: number, verb: string): void {
    const { EAGAIN, EINTR, EPIPE, ECONNRESET } = constants.errno;
    if (errno === EINTR) return;
    if (errno === EPIPE || errno === ECONNRESET) {
      throw new Disconnected(`the peer closed the connection (${errnoName(errno)})`);
    }
    if (errno !== EAGAIN) throw new SystemError(`${verb} on a UNIX socket`, errno);
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) throw new SocketTimeout(`no progress in the time limit while trying to ${verb}`);
    poll([{ fd: this.fd.number, events }], Number.isFinite(leftMs) ? leftMs : -1);
  }

  /** Ends the connection, even if another process holds a copy of the descriptor. */
  hangUp(): void {
    libc.shutdown(this.fd.number, SHUT_RDWR);
  }

  [Symbol.dispose](): void {
    this.fd[Symbol.dispose]();
  }
}
