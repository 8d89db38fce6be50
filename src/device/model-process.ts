/**
 * The software model's process: a child that serves its parent on a socket pair, so that it lives exactly as long as
 * its one client. This floor knows the program's command line, not its code.
 */
import { fileURLToPath } from "node:url";
import { bunProgram } from "../os/bun-program.ts";
import type { Fd } from "../os/fd.ts";
import { POLLIN, poll } from "../os/poll.ts";
import { socketPair } from "../os/socket.ts";
import { DeviceError } from "./device.ts";

const PROGRAM = fileURLToPath(new URL("../vp9/model/child.ts", import.meta.url));
/** Where Bun.spawn puts the first descriptors after stdin, stdout and stderr. */
const CHILD_FD = 3;
const CHILD_READY_FD = 4;
/** A model starts in a fraction of this, unless it fetches its codec first. */
const USUAL_START_MS = 500;
/** How often a model that is fetching its codec is looked at. */
const LOOK_MS = 50;
/** Longer than fetching a codec may take. */
const START_LIMIT_MS = 120_000;

interface StartedModel {
  readonly spec: string;
  readonly socket: Fd;
  /** Readable from when the model serves, or has ended. */
  readonly ready: Fd;
}

let prepared: StartedModel | undefined;

/** Starts a model that the next takeModel of the same spec takes; it starts while its parent does other things. */
export function prepareModel(spec: string): void {
  if (prepared?.spec === spec) return;
  if (prepared) drop(prepared);
  prepared = startModel(spec);
}

/**
 * Starts a model as prepareModel does, and resolves when takeModel need not wait for it: the first one on a machine may
 * fetch its codec. Throws DeviceError.
 */
export async function modelReady(spec: string): Promise<void> {
  prepareModel(spec);
  for (let waitMs = USUAL_START_MS; prepared?.spec === spec && !isReady(prepared, waitMs); waitMs = 0)
    await Bun.sleep(LOOK_MS);
}

/** The connected socket of a model of its own, after waiting until it serves. Throws DeviceError. */
export function takeModel(spec: string): Fd {
  prepareModel(spec);
  const taken = prepared!;
  prepared = undefined;
  if (!isReady(taken, START_LIMIT_MS)) {
    drop(taken);
    throw new DeviceError(`${spec}: the model did not start within ${START_LIMIT_MS / 1000} s`);
  }
  taken.ready[Symbol.dispose]();
  return taken.socket;
}

function isReady({ ready }: StartedModel, waitMs: number): boolean {
  const deadline = performance.now() + waitMs;
  do {
    const [events] = poll([{ fd: ready.number, events: POLLIN }], Math.max(0, deadline - performance.now()));
    if (events !== 0) return true;
  } while (performance.now() < deadline);
  return false;
}

function drop({ socket, ready }: StartedModel): void {
  socket[Symbol.dispose]();
  ready[Symbol.dispose]();
}

function startModel(spec: string): StartedModel {
  const [name, query = ""] = spec.slice("model:".length).split("?", 2);
  if (name !== "vp9")
    throw new DeviceError(`${spec}: there is no model "${name}"; the one there is is model:vp9`);
  const options = new URLSearchParams(query);
  const unknown = [...options.keys()].find((key) => key !== "codec" && key !== "fault");
  if (unknown) throw new DeviceError(`${spec}: model:vp9 has no option "${unknown}"; it has codec and fault`);
  const fds = [CHILD_FD, CHILD_READY_FD].map(String);
  const command = [...fds, options.get("codec") ?? "auto", options.get("fault") ?? ""];
  const [socket, theirs] = socketPair();
  const [ready, theirReady] = socketPair();
  try {
    const child = Bun.spawn([...bunProgram(PROGRAM), ...command], {
      // The model's JavaScript is little; compiling it again, better, costs 10 MiB and gains nothing measurable.
      env: { ...process.env, BUN_JSC_useDFGJIT: "0" },
      stdio: ["ignore", "ignore", "inherit", theirs.number, theirReady.number],
      // In a process group of its own, where Ctrl-C on the terminal does not reach it, not even while it starts.
      detached: true,
    });
    child.unref();
    return { spec, socket, ready };
  } catch (error) {
    drop({ spec, socket, ready });
    throw new DeviceError(`${spec}: the model's process could not be started: ${String(error)}`, {
      cause: error,
    });
  } finally {
    theirs[Symbol.dispose]();
    theirReady[Symbol.dispose]();
  }
}
