/** What a guest, QEMU and virtiofsd can't exceed. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchQemu } from "../../src/guest/assets.ts";
import { textSink } from "../../src/guest/commands.ts";
import { keepText, lastLines } from "../../src/guest/console.ts";
import { bootGuest } from "../../src/guest/guest.ts";
import {
  ANSWER_MS,
  LEFT_MS,
  MAX_ENDING_CHARACTERS,
  MAX_KEPT_CHARACTERS,
  MAX_LINE_CHARACTERS,
  MAX_OUTPUT_BYTES,
  MAX_SHOWN_LINES,
  QUIT_MS,
  SHARE_STOP_MS,
} from "../../src/guest/limits.ts";
import { connectQmp } from "../../src/guest/qmp.ts";
import { openSession, type Session, sessionSockets } from "../../src/guest/session.ts";
import { serveShare } from "../../src/guest/share.ts";
import { connect, onLines } from "../../src/guest/socket.ts";
import { children } from "../vp9/encoder/rig.ts";

setDefaultTimeout(300_000);

const folder = mkdtempSync(join(tmpdir(), "vfiokit-guest-limits-"));
const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Listens as QEMU does. */
async function listen(path: string, onSocket: (socket: Socket) => void): Promise<void> {
  const server = createServer(onSocket);
  servers.push(server);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(path, resolve);
  await promise;
}

test("a command's output that run collects has an end, which is an error that says what takes more", () => {
  const { sink, text } = textSink("stdout", undefined);
  const part = new Uint8Array(MAX_OUTPUT_BYTES / 64).fill(65);
  for (let i = 0; i < 64; i++) sink(part);
  expect(text().length).toBe(MAX_OUTPUT_BYTES);
  expect(() => sink(new Uint8Array(1))).toThrow(
    `wrote more than ${MAX_OUTPUT_BYTES} bytes to its stdout, and run collects no more; onStdout takes any number`,
  );
});

test("a line that a guest never ends takes no memory, and the next one is taken", async () => {
  const path = join(folder, "lines");
  await listen(path, (socket) => {
    const part = Buffer.alloc(65_536, "x");
    for (let sent = 0; sent < 4 * MAX_LINE_CHARACTERS; sent += part.length) socket.write(part);
    socket.end("\nnext\n");
  });
  const lines: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = await connect(path);
  socket.on("close", resolve);
  onLines(socket, (line) => void lines.push(line));
  await promise;
  expect(lines).toEqual(["next"]);
});

test("of a console the end is kept, and of that the last lines are shown", async () => {
  const line = (i: number) => `line ${i} ${"x".repeat(90)}`;
  const text = Array.from({ length: 3000 }, (_, i) => line(i)).join("\n");
  const kept = keepText(new Blob([text]).stream());
  await kept.done;
  expect(kept.text().length).toBe(MAX_KEPT_CHARACTERS);
  const shown = lastLines("it said:", kept.text());
  expect([shown.length, shown.at(-1)]).toEqual([1 + MAX_SHOWN_LINES, `  ${line(2999)}`]);
});

test("a QEMU that does not answer is an error that names the command", async () => {
  const path = join(folder, "qmp");
  await listen(path, (socket) => void socket.resume());
  await expect(connectQmp(path, 100)).rejects.toThrow("QEMU did not answer qmp_capabilities within 0.1 s");
});

/** A session whose guest this test plays: `answer` gives what comes from a command's outputs, with the session's token. */
async function playedSession(
  name: string,
  answer: (token: string) => string,
): Promise<{ session: Session; orders: string[] }> {
  const at = join(folder, name);
  await Bun.$`mkdir ${at}`.quiet();
  const [stdin, stdout, stderr] = sessionSockets(at, 1) as [string, string, string];
  const outputs = [stdout, stderr].map((path) => ({ path, socket: Promise.withResolvers<Socket>() }));
  await listen(stdin, (socket) => {
    onLines(socket, (line) => {
      if (/^[0-9a-f]{32}$/.test(line))
        for (const { socket } of outputs) void socket.promise.then((to) => to.write(answer(line)));
    });
  });
  for (const { path, socket } of outputs) await listen(path, socket.resolve);
  const orders: string[] = [];
  return { session: openSession(at, 0, (order) => orders.push(order)), orders };
}

const job = { command: ["true"], folder: "/", user: undefined, columns: 0 };
const sinks = { input: undefined, onStdout: () => {}, onStderr: () => {}, onStart: () => {} };
const never = new Promise<never>(() => {});

test("a guest's line about a command's end is cut, and processes that keep its streams are ended", async () => {
  const { session, orders } = await playedSession(
    "ending",
    (token) => `${token}output${token}${"7".repeat(1000)}`,
  );
  expect(await session.run(job, sinks, never)).toBe("7".repeat(MAX_ENDING_CHARACTERS));
  expect(orders.filter((order) => order.startsWith("end"))).toEqual([]);
  await Bun.sleep(LEFT_MS + 300);
  expect(orders.filter((order) => order.startsWith("end"))).toEqual(["end 0"]);
});

test("a command that is to end before it began is waited for, but not for ever", async () => {
  const { session, orders } = await playedSession("unbegun", () => "");
  const startMs = performance.now();
  expect(await session.run(job, sinks, Bun.sleep(50))).toBeUndefined();
  expect(performance.now() - startMs).toBeWithin(ANSWER_MS, ANSWER_MS + 3000);
  expect(orders.at(-1)).toBe("end 0");
});

test("a virtiofsd that does not listen in time, or does not end when it is told to, is killed", async () => {
  const tree = await fetchQemu(() => {});
  await expect(serveShare(tree, folder, join(folder, "late"), 1)).rejects.toThrow(
    /virtiofsd, .*, did not start within 0.001 s, and was ended/,
  );
  const before = children();
  const share = await serveShare(tree, folder, join(folder, "share"));
  const [pid] = children().filter((child) => !before.includes(child));
  process.kill(pid!, "SIGSTOP");
  const startMs = performance.now();
  await share[Symbol.asyncDispose]();
  expect(performance.now() - startMs).toBeWithin(SHARE_STOP_MS - 50, SHARE_STOP_MS + 3000);
});

test("a QEMU that does not end when it is told to is killed", async () => {
  const before = children();
  const guest = await bootGuest({ arch: "x86_64" });
  const pids = children().filter(
    (pid) =>
      !before.includes(pid) &&
      Bun.spawnSync(["cat", `/proc/${pid}/cmdline`])
        .stdout.toString()
        .includes("qemu-system"),
  );
  expect(pids.length).toBe(1);
  process.kill(pids[0]!, "SIGSTOP");
  const startMs = performance.now();
  await guest[Symbol.asyncDispose]();
  expect(performance.now() - startMs).toBeWithin(QUIT_MS - 50, QUIT_MS + 5000);
});
