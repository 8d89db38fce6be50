/**
 * Stands between a client and a vfio-user server and records their exchange; see session.ts, which starts it.
 *
 *     bun recorder.ts CLIENT_SOCKET SERVER_SOCKET EXCHANGE SOURCE_AS_JSON
 *
 * The server gets eventfds of the recorder's own, so that its interrupts are seen. libvfio-user takes no request while
 * it waits for the answer to its own DMA_READ or DMA_WRITE (its issue 279): from an interrupt or such a message on,
 * requests of the client are recorded at once but handed over when the server has been silent for a while.
 */
import { writeFileSync } from "node:fs";
import { EventFd } from "../../../src/os/eventfd.ts";
import type { Fd } from "../../../src/os/fd.ts";
import { type Mapping, mapShared } from "../../../src/os/memory.ts";
import { POLLIN, poll } from "../../../src/os/poll.ts";
import { acceptUnix, connectUnix, FdStream, listenUnix } from "../../../src/os/socket.ts";
import { type Event, formatExchange, packBytes, type Side } from "./exchange.ts";
import { describeFd, describeMessage, headerOf, type RawMessage, receiveRaw } from "./wire.ts";

const [clientPath, serverPath, exchangePath, source] = process.argv.slice(2);
const SILENCE_MS = 100;

const events: Event[] = [];
const files: { mapping: Mapping; seen: Uint8Array }[] = [];
const bells: { fromServer: EventFd; toClient: EventFd }[] = [];

/** Notes, for each shared file, what changed since the last look: from the first changed byte to the last. */
function noteWrites(by: Side): void {
  for (const [wrote, { mapping, seen }] of files.entries()) {
    const now = mapping.bytes();
    const at = now.findIndex((byte, i) => byte !== seen[i]);
    if (at < 0) continue;
    const changed = now.subarray(at, now.findLastIndex((byte, i) => byte !== seen[i]) + 1);
    events.push({ by, wrote, at, bytes: packBytes(changed) });
    seen.set(changed, at);
  }
}

function noteMessage(by: Side, { bytes, fds }: RawMessage): void {
  const kinds = fds.map(describeFd);
  events.push({
    by,
    message: describeMessage(bytes),
    bytes: packBytes(bytes),
    ...(kinds.length && { fds: kinds }),
  });
}

/** Hands a message over, keeping hold of what is shared with it. */
function forward(to: FdStream, { bytes, fds }: RawMessage): void {
  const passed = fds.map((fd): Fd => {
    const kind = describeFd(fd);
    if (kind === "eventfd") {
      const fromServer = new EventFd();
      bells.push({ fromServer, toClient: new EventFd(fd) });
      return fromServer.fd;
    }
    const mapping = mapShared(fd.number, Number(/\d+/.exec(kind)![0]), 0, false);
    files.push({ mapping, seen: mapping.bytes().slice() });
    return fd;
  });
  to.send(
    bytes,
    passed.map((fd) => fd.number),
  );
}

/** Whether a message or the connection's end comes within the time. */
const comes = (from: FdStream) => from.readable(SILENCE_MS);

/** An interrupt and what the server wrote along with it; then the client's request that follows, if one does. */
function handleInterrupt(number: number): void {
  const { fromServer, toClient } = bells[number]!;
  const count = fromServer.take();
  comes(server);
  noteWrites("server");
  events.push({ by: "server", signals: number, count });
  serverAtWork = true;
  for (let i = 0; i < count; i++) toClient.signal();
  if (comes(client)) handleClient();
}

function handleServer(): void {
  const message = receiveRaw(server, 5000);
  if (!message) throw new Error("the server closed the connection first");
  noteWrites("server");
  noteMessage("server", message);
  serverAtWork ||= !headerOf(message.bytes).reply;
  forward(client, message);
}

function handleClient(): void {
  const message = receiveRaw(client, 5000);
  noteWrites("client");
  if (!message) {
    open = false;
    return;
  }
  noteMessage("client", message);
  const { reply, posted } = headerOf(message.bytes);
  if (serverAtWork && !reply) {
    held.push(message);
    return;
  }
  forward(server, message);
  if (posted) {
    comes(server);
    noteWrites("server");
  }
}

const listener = listenUnix(clientPath!);
console.log("ready");
const client = new FdStream(acceptUnix(listener));
const server = new FdStream(connectUnix(serverPath!));
const held: RawMessage[] = [];
let serverAtWork = false;
let open = true;
while (open) {
  const watched = [client.fd, server.fd, ...bells.map((bell) => bell.fromServer.fd)];
  const [fromClient, fromServer, ...interrupts] = poll(
    watched.map((fd) => ({ fd: fd.number, events: POLLIN })),
    serverAtWork ? SILENCE_MS : -1,
  );
  const interrupt = interrupts.findIndex((events) => events !== 0);
  if (interrupt >= 0) handleInterrupt(interrupt);
  else if (fromServer) handleServer();
  else if (fromClient) handleClient();
  else {
    serverAtWork = false;
    for (const message of held.splice(0)) forward(server, message);
  }
}
writeFileSync(exchangePath!, formatExchange({ source: JSON.parse(source!), events }));
