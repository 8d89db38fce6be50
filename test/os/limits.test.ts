import { expect, test } from "bun:test";
import { SEND_MS } from "../../src/os/limits.ts";
import { FdStream, SocketTimeout, socketPair } from "../../src/os/socket.ts";

test("a peer that does not read is given up", () => {
  const [one, other] = socketPair().map((fd) => new FdStream(fd)) as [FdStream, FdStream];
  using stream = one;
  using _peer = other;
  const much = new Uint8Array(new ArrayBuffer(2 ** 24));
  const startMs = performance.now();
  expect(() => stream.send(much)).toThrow(SocketTimeout);
  expect(performance.now() - startMs).toBeWithin(SEND_MS - 50, SEND_MS + 3000);
}, 10_000);
