/**
 * A vfio-user server that knows one recorded exchange by heart: it takes only the bytes and descriptors that the real
 * server took, in the same order, and answers with the bytes that the real server sent.
 *
 *     bun replayer.ts SOCKET EXCHANGE
 *
 * Ends with 0 when the client has done all of it and nothing else; otherwise says on stderr what differed.
 */
import { readFileSync } from "node:fs";
import { EventFd } from "../../../src/os/eventfd.ts";
import type { Fd } from "../../../src/os/fd.ts";
import { createMemfd, type Mapping, mapShared } from "../../../src/os/memory.ts";
import { acceptUnix, FdStream, listenUnix } from "../../../src/os/socket.ts";
import { packBytes, parseExchange, unpackBytes } from "./exchange.ts";
import { describeFd, describeMessage, receiveRaw } from "./wire.ts";

const [socketPath, exchangePath] = process.argv.slice(2);
const { events } = parseExchange(readFileSync(exchangePath!, "utf8"));
const files: Mapping[] = [];
const bells: EventFd[] = [];
/** What the client must have written to shared memory by the time its next message is here. */
const awaited: { line: string; part: Uint8Array; bytes: string }[] = [];

function hold(fd: Fd, kind: string): void {
  if (kind === "eventfd") bells.push(new EventFd(fd));
  else files.push(mapShared(fd.number, sizeOf(kind)));
}

/** From "memfd of 4096 bytes". */
const sizeOf = (kind: string) => Number(/\d+/.exec(kind)![0]);

/** Ends this server unless both are the same. */
function same(what: string, sent: string, recorded: string): void {
  if (sent === recorded) return;
  console.error(`${what} differs from what the real server took\n  now      ${sent}\n  recorded ${recorded}`);
  process.exit(1);
}

const listener = listenUnix(socketPath!);
console.log("ready");
const client = new FdStream(acceptUnix(listener));
for (const [i, event] of events.entries()) {
  const line = `line ${i + 2} of the recording`;
  if ("signals" in event) {
    for (let n = 0; n < event.count; n++) bells[event.signals]!.signal();
  } else if ("wrote" in event) {
    const bytes = unpackBytes(event.bytes);
    const part = files[event.wrote]!.bytes(event.at, bytes.length);
    if (event.by === "server") part.set(bytes);
    else awaited.push({ line, part, bytes: event.bytes });
  } else if (event.by === "server") {
    const fds = (event.fds ?? []).map((kind) => {
      const fd = createMemfd("stand-in", sizeOf(kind));
      hold(fd, kind);
      return fd.number;
    });
    client.send(unpackBytes(event.bytes), fds);
  } else {
    const message = receiveRaw(client, 5000);
    if (!message) same(line, "the end of the connection", event.message);
    const { bytes, fds } = message!;
    same(`${line}, message`, describeMessage(bytes), event.message);
    same(`${line}, ${event.message}`, packBytes(bytes), event.bytes);
    const kinds = fds.map(describeFd);
    same(`${line}, ${event.message}'s descriptors`, kinds.join(), (event.fds ?? []).join());
    for (const [n, fd] of fds.entries()) hold(fd, kinds[n]!);
    for (const write of awaited.splice(0))
      same(`${write.line}, shared memory`, packBytes(write.part), write.bytes);
  }
}
const more = receiveRaw(client, 5000);
same("after the recording's last line", more ? describeMessage(more.bytes) : "the end", "the end");
process.exit(0);
