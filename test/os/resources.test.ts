import { ptr } from "bun:ffi";
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { errnoName, SystemError } from "../../src/os/errno.ts";
import { EventFd } from "../../src/os/eventfd.ts";
import { duplicateFd, Fd, O_RDONLY, openFile } from "../../src/os/fd.ts";
import { libc } from "../../src/os/libc.ts";
import { MAX_FDS } from "../../src/os/limits.ts";
import { createMemfd, mapShared } from "../../src/os/memory.ts";
import { isEventFd, signalPeer } from "../../src/os/peer-eventfd.ts";
import { POLLIN, poll } from "../../src/os/poll.ts";
import {
  acceptUnix,
  connectUnix,
  Disconnected,
  FdStream,
  isBound,
  listenUnix,
  SocketTimeout,
  socketPair,
} from "../../src/os/socket.ts";
import { openFds } from "./open-fds.ts";

const bytes = (n: number) => new Uint8Array(new ArrayBuffer(n));

test("an errno is told by its name, and an error says what was tried on what", () => {
  expect(errnoName(constants.errno.ENOENT)).toBe("ENOENT");
  expect(errnoName(9999)).toBe("errno 9999");
  const error = (() => {
    try {
      openFile("/no/such/file", O_RDONLY);
    } catch (caught) {
      return caught as SystemError;
    }
  })();
  expect(error).toBeInstanceOf(SystemError);
  expect(error?.message).toBe("open /no/such/file: ENOENT");
  expect(error?.code).toBe("ENOENT");
  expect(error?.errno).toBe(2);
});

test("a descriptor closes at the end of its block, once, and can't be used afterwards", () => {
  const before = openFds("self");
  const fd = (() => {
    using inner = createMemfd("closes", 4096);
    expect(openFds("self")).toBe(before + 1);
    return inner;
  })();
  expect(openFds("self")).toBe(before);
  fd[Symbol.dispose]();
  expect(() => fd.number).toThrow("already closed");
});

test("a mapping can't be used after it is unmapped, nor past its end", () => {
  using fd = createMemfd("map", 8192);
  const mapping = mapShared(fd.number, 8192);
  expect(() => mapping.bytes(8000, 200)).toThrow(RangeError);
  mapping.bytes(8191, 1)[0] = 7;
  mapping[Symbol.dispose]();
  expect(() => mapping.bytes()).toThrow("already unmapped");
  expect(() => mapShared(fd.number, 4096, 123)).toThrow(
    /^map 4096 bytes of file descriptor \d+ at offset 123: EINVAL$/,
  );
});

test("who closes a descriptor, a mapping or an eventfd may say why, and the first reason stays", async () => {
  const why = () => new Error("it was unplugged");
  const fd = createMemfd("why", 4096);
  const mapping = mapShared(fd.number, 4096);
  const event = new EventFd();
  const waiting = event.waitAsync(60_000);
  mapping.unmap(why);
  fd.close(why);
  event.close(why);
  for (const closed of [mapping, fd, event]) closed[Symbol.dispose]();
  expect(await waiting).toBe(0);
  for (const use of [() => mapping.address, () => mapping.bytes(), () => fd.number, () => event.take()])
    expect(use).toThrow("it was unplugged");
  expect(event.waitAsync(10)).rejects.toThrow("it was unplugged");
});

test("an eventfd counts signals, waits with a limit, and does both on the event loop too", async () => {
  using event = new EventFd();
  expect(event.take()).toBe(0);
  event.signal();
  event.signal();
  expect(event.wait(1000)).toBe(2);
  expect(event.wait(5)).toBe(0);
  expect(await event.waitAsync(5)).toBe(0);
  setTimeout(() => event.signal(), 5);
  expect(await event.waitAsync(5000)).toBe(1);
  event.signal();
  event.signal();
  let seen = 0;
  while (seen < 2) seen += await event.waitAsync(5000);
  expect(seen).toBe(2);
});

test("disposing an eventfd ends the wait for it", async () => {
  const before = openFds("self");
  const event = new EventFd();
  const waiting = event.waitAsync(60_000);
  event[Symbol.dispose]();
  expect(await waiting).toBe(0);
  await Bun.sleep(20);
  // Fewer where the loop closes late what an earlier test opened.
  expect(openFds("self")).toBeLessThanOrEqual(before);
});

test("poll tells which of several descriptors is ready", () => {
  using a = new EventFd();
  using b = new EventFd();
  const entries = [a, b].map(({ fd }) => ({ fd: fd.number, events: POLLIN }));
  expect(poll(entries, 0)).toEqual([0, 0]);
  b.signal();
  expect(poll(entries, 1000)).toEqual([0, POLLIN]);
});

test("descriptors cross a socket with their message, also when two messages lie glued together", () => {
  const before = openFds("self");
  {
    const [left, right] = socketPair().map((fd) => new FdStream(fd)) as [FdStream, FdStream];
    using l = left;
    using r = right;
    using first = createMemfd("first", 4096);
    using second = createMemfd("second", 8192);
    l.send(bytes(16).fill(1), [first.number]);
    l.send(bytes(16).fill(2), [second.number, first.number]);
    const message = bytes(16);
    const one = r.receive(message, 1000);
    expect(message[0]).toBe(1);
    expect(one.length).toBe(1);
    using mapped = mapShared(one[0]!.number, 4096);
    mapped.bytes()[5] = 42;
    using here = mapShared(first.number, 4096);
    expect(here.bytes()[5]).toBe(42);
    const two = r.receive(message, 1000);
    expect(message[0]).toBe(2);
    expect(two.length).toBe(2);
    for (const fd of [...one, ...two]) fd[Symbol.dispose]();
  }
  expect(openFds("self")).toBe(before);
});

test("a large message crosses whole, and more descriptors than a message can hold are refused", async () => {
  const [left, right] = socketPair().map((fd) => new FdStream(fd)) as [FdStream, FdStream];
  using l = left;
  using r = right;
  const big = bytes(4 << 20);
  for (let i = 0; i < big.length; i += 4096) big[i] = i >> 12;
  const receiver = new Worker(
    URL.createObjectURL(
      new Blob([
        `import { FdStream } from ${JSON.stringify(import.meta.resolve("../../src/os/socket.ts"))};
         import { Fd } from ${JSON.stringify(import.meta.resolve("../../src/os/fd.ts"))};
         const bytes = new Uint8Array(new ArrayBuffer(4 << 20));
         new FdStream(new Fd(${duplicateFd(right.fd.number).release()})).receive(bytes, 10000);
         postMessage(Bun.hash.crc32(bytes));`,
      ]),
    ),
  );
  const sum = new Promise((resolve) => {
    receiver.onmessage = (event) => resolve(event.data);
  });
  l.send(big, [], 10_000);
  expect(await sum).toBe(Bun.hash.crc32(big));
  const tooMany = Array.from({ length: MAX_FDS + 1 }, () => l.fd.number);
  expect(() => l.send(bytes(1), tooMany)).toThrow(RangeError);
  expect(r.readable()).toBe(false);
});

test("a peer that is gone and a peer that is silent are told apart", () => {
  const [left, right] = socketPair().map((fd) => new FdStream(fd)) as [FdStream, FdStream];
  using l = left;
  expect(() => l.receive(bytes(1), 10)).toThrow(SocketTimeout);
  right[Symbol.dispose]();
  expect(() => l.receive(bytes(1), 10)).toThrow(Disconnected);
  expect(() => l.send(bytes(1))).toThrow(Disconnected);
});

test("connecting where too many wait already says so at once, instead of waiting for ever", () => {
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-"));
  const waiting: Disposable[] = [];
  try {
    using _ = listenUnix(join(folder, "s"));
    const connectMany = () => {
      for (let i = 0; i < 10; i++) waiting.push(connectUnix(join(folder, "s")));
    };
    expect(connectMany).toThrow(/^connect to .*: EAGAIN$/);
  } finally {
    for (const socket of waiting) socket[Symbol.dispose]();
    rmSync(folder, { recursive: true });
  }
});

test("a named socket takes connections, and a name too long for the kernel is refused with its length", () => {
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-"));
  try {
    const path = join(folder, "s");
    using listener = listenUnix(path);
    using client = new FdStream(connectUnix(path));
    using server = new FdStream(acceptUnix(listener));
    client.send(bytes(3).fill(9));
    const got = bytes(3);
    server.receive(got, 1000);
    expect([...got]).toEqual([9, 9, 9]);
    expect(() => listenUnix(path)).toThrow("EADDRINUSE");
    expect(() => connectUnix(join(folder, "x".repeat(120)))).toThrow("the kernel accepts at most 107");
    expect([isBound(path), isBound(join(folder, "none"))]).toEqual([true, false]);
    listener[Symbol.dispose]();
    expect([existsSync(path), isBound(path)]).toEqual([true, false]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a peer's eventfd is told from everything else, and signalled without waiting, blocking or full or both", () => {
  const EFD_CLOEXEC = 0o2000000;
  using event = new EventFd();
  using blocking = new EventFd(new Fd(libc.eventfd(0, EFD_CLOEXEC)));
  using memory = createMemfd("anon_inode:[eventfd]", 4096);
  const [left, right] = socketPair();
  using socket = left;
  using _peer = right;
  expect([event.fd, blocking.fd, memory, socket].map(isEventFd)).toEqual([true, true, false, false]);
  for (const { fd } of [event, blocking]) {
    // More than the requests that fit the kernel's list at once.
    for (let i = 0; i < 1000; i++) signalPeer(fd);
    const counter = new BigUint64Array(new ArrayBuffer(8));
    expect([libc.read(fd.number, ptr(counter), 8), counter[0]]).toEqual([8, 1000n]);
    counter[0] = 2n ** 64n - 2n;
    expect(libc.write(fd.number, ptr(counter), 8)).toBe(8);
    for (let i = 0; i < 10; i++) signalPeer(fd);
    expect([libc.read(fd.number, ptr(counter), 8), counter[0]]).toEqual([8, 2n ** 64n - 1n]);
  }
  expect(() => signalPeer(socket)).toThrow("signal an eventfd: EINVAL");
});
