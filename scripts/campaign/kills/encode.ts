/** A run of encode.ts in which it, or its model, is signalled. */
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Counts } from "../campaign.ts";
import {
  type Exit,
  exitOf,
  expectGone,
  expectNoCrash,
  type Program,
  type ProgramOptions,
  startProgram,
  until,
} from "../program.ts";
import { type EncodeCase, FRAMES } from "./case.ts";
import type { Clip } from "./clip.ts";
import { checkOutput } from "./output.ts";
import { reached, type Sent, sendAll } from "./signals.ts";

/** For encode.ts after the last signal, whose own time limit for a frame is 10 s. */
const END_MS = 35_000;
const START_MS = 20_000;
/** For processes that end because another one has. */
const GONE_MS = 5_000;
/** Frames of the run that shows whether the next client is served. */
const NEXT_FRAMES = 20;
/** A signal that comes when fewer frames than these are left may be too late. */
const LATE_FRAMES = 1500;
const CHILD = "hosting/child.ts";
/** For the next model.ts to take over the socket. */
const RECOVER_S = 15;
const LETHAL = ["SIGKILL", "SIGTERM", "SIGINT"] as const;

/** Bytes 8 to 11 of null's packets are the index. */
const withoutIndex = (packet: Uint8Array) => Buffer.concat([packet.subarray(0, 8), packet.subarray(12)]);
const nothing = () => new Uint8Array(0);

export async function runEncode(one: EncodeCase, clip: Clip, options: ProgramOptions): Promise<Counts> {
  const { scene, target, codec, container } = one;
  const socket = join(options.folder, "model.sock");
  const output = join(options.folder, `out.${container}`);
  await using held = new AsyncDisposableStack();
  const serve = async () => held.use(await startModel(one, socket, options));
  const server = scene === "socket" ? await serve() : undefined;
  const device = {
    inside: ["--device", "model:vp9", "--codec", codec],
    child: ["--device", `model:vp9?codec=${codec}&fault=die@1000000`],
    socket: ["--device", `vfio-user:${socket}`],
  }[scene];
  const recovery = ["--recover", String(one.recover), "--recover-timeout", String(RECOVER_S)];
  const encode = held.use(
    startProgram("encode.ts", [clip.path, ...device, ...recovery, "--quiet", "-o", output], options),
  );
  const encodes = () => (encode.running ? [encode.pid] : []);
  const models = () => {
    if (scene === "inside") return encodes();
    return server ? (server.running ? [server.pid] : []) : encode.find(CHILD);
  };
  /** Every process that was the model. */
  const seen = new Set<number>();
  const targets = () => {
    const pids = models();
    for (const pid of pids) seen.add(pid);
    return target === "encode"
      ? encodes()
      : target === "model"
        ? pids
        : [...new Set([...encodes(), ...pids])];
  };
  const sent = await sendAll(encode, targets, one, {
    path: output,
    bytesOf: (frames) => clip.bytesOf(codec, container, frames),
  });
  const counts: Record<string, number> = {};
  const ends = server !== undefined && reached(sent, [server.pid], ...LETHAL);
  const replaced =
    ends && one.recover > 0 ? await replaceServer(server, sent, serve, socket, counts) : server;
  const exit = await exitOf(encode, "encode.ts", END_MS);
  expectNoCrash(encode.said);
  const completed = checkExit(exit, encode, sent, scene === "inside" ? [] : [...seen], one.recover > 0);
  const left = await checkOutput(
    {
      ...{ path: output, container, completed, expected: clip.packets[codec] },
      // Behind a recovery the stream begins again: another index in null's packets, a key frame in libvpx's.
      ...(one.recover > 0 && { comparable: codec === "null" ? withoutIndex : nothing }),
    },
    options,
  );
  if (exit.code === 0 && left.frames !== FRAMES)
    throw new Error(`encode.ts has exit code 0, and the output ${left.frames} of ${FRAMES} frames`);
  const [, holds] = /holds the (?:(\d+) frames|frame) before that/.exec(encode.said) ?? [];
  if (
    exit.code === 1 &&
    Number(holds ?? (encode.said.includes("holds the frame") ? 1 : 0)) !== (left.frames ?? 0)
  )
    throw new Error(`encode.ts says: ${encode.said}, and the output has ${left.frames} frames`);
  await expectGone(encode, "encode.ts", GONE_MS);
  if (replaced) {
    const last =
      ends && replaced === server ? await replaceServer(server, sent, serve, socket, counts) : replaced;
    await checkNext(last, clip, one, socket, options);
    counts["next client served"] = 1;
    await expectGone(server!, "model.ts, or its standby", GONE_MS);
  }
  const how = exit.code === null ? `killed by ${exit.signal}` : `exit code ${exit.code}`;
  return {
    [`encode.ts, ${scene}: ${how}`]: 1,
    ...(sent.length === 0 && { "no signal: it had ended, or not begun": 1 }),
    ...Object.fromEntries(
      sent.map(({ signal }) => [`sent ${signal}`, sent.filter((s) => s.signal === signal).length]),
    ),
    ...left.counts,
    ...counts,
    ...(exit.code === 0 &&
      reached(sent, [...seen], "SIGKILL") && { "a killed model, and every frame all the same": 1 }),
  };
}

/** Throws Error for an exit that the signals do not explain. Returns whether the program could complete its output. */
function checkExit(
  exit: Exit,
  encode: Program,
  sent: readonly Sent[],
  models: readonly number[],
  recovers: boolean,
): boolean {
  const asked = sent.filter(({ signal, to }) => /TERM|INT/.test(signal) && to.includes(encode.pid));
  const killed = reached(sent, [encode.pid], "SIGKILL");
  const modelHit = reached(sent, models, ...LETHAL);
  const wrong = (why: string) =>
    new Error(`${why}: ${JSON.stringify(exit)} after ${JSON.stringify(sent)}: ${encode.said}`);
  if (exit.signal === "SIGKILL" && killed) return false;
  if (exit.code === null) {
    // A signal in the first milliseconds finds no handler yet.
    if (asked.some(({ signal, outputBytes }) => signal === exit.signal && outputBytes < 0)) return false;
    throw wrong("a signal ended it that should not");
  }
  if (exit.code === 130 && asked.length > 0) return asked.length === 1 || !encode.said.includes("again");
  if (exit.code === 1 && modelHit) {
    // Until the stream runs there is nothing to recover.
    const [first] = sent.filter((one) => reached([one], models, ...LETHAL));
    if (recovers && first!.outputBytes > 0 && asked.length === 0)
      throw wrong("a lost model was not recovered");
    return true;
  }
  if (exit.code !== 0) throw wrong("an exit code that the signals do not explain");
  const ignored = asked.find(({ outputBytes }) => outputBytes < (FRAMES - LATE_FRAMES) * 12);
  if (ignored) throw wrong(`${ignored.signal} was ignored`);
  return true;
}

async function startModel(
  { codec, standby }: EncodeCase,
  socket: string,
  options: ProgramOptions,
): Promise<Program> {
  const words = ["--socket", socket, "--codec", codec, ...(standby ? ["--standby"] : [])];
  const model = startProgram("model.ts", words, options);
  try {
    await until(
      () => model.said.includes("Ctrl-C ends it") || !model.running,
      START_MS,
      () => `model.ts did not start: ${model.said}`,
    );
    if (!model.running) throw new Error(`model.ts did not start: ${model.said}`);
    return model;
  } catch (error) {
    await model[Symbol.asyncDispose]();
    throw error;
  }
}

/** The model's own end and what it leaves; then the next model on its socket. */
async function replaceServer(
  server: Program,
  sent: readonly Sent[],
  serve: () => Promise<Program>,
  socket: string,
  counts: Record<string, number>,
): Promise<Program> {
  if (!reached(sent, [server.pid], ...LETHAL)) throw new Error(`model.ts ended by itself: ${server.said}`);
  const { code, signal } = await exitOf(server, "model.ts", END_MS);
  expectNoCrash(server.said);
  const killed = reached(sent, [server.pid], "SIGKILL") && signal === "SIGKILL";
  if (!killed && code !== 0) throw new Error(`model.ts ended with ${code ?? signal}: ${server.said}`);
  const isLeft = lstatSync(socket, { throwIfNoEntry: false }) !== undefined;
  if (isLeft && !killed) throw new Error("model.ts ended, and left its socket");
  const next = await serve();
  if (isLeft) counts["left, and taken over by the next run: the socket of a killed model.ts"] = 1;
  return next;
}

/** That the next client is served, and that the model leaves nothing at its end. */
async function checkNext(
  server: Program,
  clip: Clip,
  { codec }: EncodeCase,
  socket: string,
  options: ProgramOptions,
): Promise<void> {
  const output = join(options.folder, "next.ivf");
  const frames = ["--frames", String(NEXT_FRAMES), "--recover", "0"];
  const words = [clip.path, "--device", `vfio-user:${socket}`, ...frames, "--quiet", "-o", output];
  await using next = startProgram("encode.ts", words, options);
  const { code } = await exitOf(next, "the next encode.ts", END_MS);
  if (code !== 0) throw new Error(`the next encode.ts has exit code ${code}: ${next.said}; ${server.said}`);
  const expected = clip.packets[codec].slice(0, NEXT_FRAMES);
  const left = await checkOutput({ path: output, container: "ivf", expected, completed: true }, options);
  if (left.frames !== NEXT_FRAMES)
    throw new Error(`the next encode.ts has ${left.frames} of ${NEXT_FRAMES} frames`);
  process.kill(server.pid, "SIGTERM");
  const last = await exitOf(server, "model.ts", END_MS);
  if (last.code !== 0)
    throw new Error(`model.ts ended with ${JSON.stringify(last)} after SIGTERM: ${server.said}`);
  await expectGone(server, "model.ts", GONE_MS);
  if (readdirSync(options.folder).includes("model.sock")) throw new Error("model.ts left its socket");
}
