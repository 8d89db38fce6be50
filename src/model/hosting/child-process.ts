/**
 * A model's process: a child that serves its parent on a socket pair, so it lives exactly as long as its only
 * client.
 */

import { DeviceError } from "../../device/device.ts";
import { bunProgram, ownFile } from "../../os/bun-program.ts";
import type { Fd } from "../../os/fd.ts";
import { POLLIN, poll } from "../../os/poll.ts";
import { socketPair } from "../../os/socket.ts";
import { START_MS } from "../limits.ts";
import { parseModelSpec } from "../models.ts";

/** Where Bun.spawn puts the first descriptors after stdin, stdout and stderr. */
const CHILD_FD = 3;
const CHILD_READY_FD = 4;
/** A model starts in a fraction of this, unless it has to fetch something first. */
const USUAL_START_MS = 500;
/** How often to poll a model that takes longer. */
const LOOK_MS = 50;

interface StartedModel {
  readonly spec: string;
  readonly socket: Fd;
  /** Becomes readable when the model serves, or has exited. */
  readonly ready: Fd;
  /** When it has to be, on performance.now()'s clock. */
  readonly dueMs: number;
  /** Ends its process, if there is one. */
  readonly kill: () => void;
}

let prepared: StartedModel | undefined;

/** Starts a model for the next takeModel of the same spec. It starts while its parent does other work. */
function prepareModel(spec: string, startMs = START_MS): void {
  if (prepared?.spec === spec) return;
  if (prepared) drop(prepared);
  prepared = startModel(spec, startMs);
}

/**
 * Starts a model like prepareModel, and resolves when takeModel no longer has to wait for it: the first one
 * on a machine may have to fetch something. Throws DeviceError.
 */
export async function modelReady(spec: string, startMs = START_MS): Promise<void> {
  prepareModel(spec, startMs);
  for (let waitMs = USUAL_START_MS; prepared?.spec === spec && !isReady(prepared, waitMs); waitMs = 0) {
    if (performance.now() >= prepared.dueMs) throw late(prepared);
    await Bun.sleep(LOOK_MS);
  }
}

/** Ends a model that has not started. */
function late(model: StartedModel): DeviceError {
  if (prepared === model) prepared = undefined;
  model.kill();
  drop(model);
  return new DeviceError(
    `${model.spec}: the model did not start in time, and was ended; something in it waits for too long`,
  );
}

/** Waits until a model serves, prepared or started now. Returns its connected socket. Throws DeviceError. */
export function takeModel(spec: string, startMs = START_MS): Fd {
  prepareModel(spec, startMs);
  const taken = prepared!;
  prepared = undefined;
  if (!isReady(taken, Math.max(0, taken.dueMs - performance.now()))) throw late(taken);
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

function drop({ socket, ready }: Pick<StartedModel, "socket" | "ready">): void {
  socket[Symbol.dispose]();
  ready[Symbol.dispose]();
}

function startModel(spec: string, startMs: number): StartedModel {
  const { file, query } = parseModelSpec(spec);
  const name = spec.split("?")[0]!;
  const words = [String(CHILD_FD), String(CHILD_READY_FD), name, file, query];
  const [socket, theirs] = socketPair();
  const [ready, theirReady] = socketPair();
  try {
    const child = Bun.spawn([...bunProgram(ownFile("./child.ts", import.meta.url)), ...words], {
      // The model runs little JavaScript: optimizing it further costs 10 MiB and gains nothing measurable.
      env: { ...process.env, BUN_JSC_useDFGJIT: "0" },
      stdio: ["ignore", "ignore", "inherit", theirs.number, theirReady.number],
      // In its own process group, so the terminal's Ctrl-C does not reach it, not even while it starts.
      detached: true,
    });
    child.unref();
    return { spec, socket, ready, dueMs: performance.now() + startMs, kill: () => child.kill("SIGKILL") };
  } catch (error) {
    drop({ socket, ready });
    throw new DeviceError(`${spec}: the model's process could not be started: ${String(error)}`, {
      cause: error,
    });
  } finally {
    theirs[Symbol.dispose]();
    theirReady[Symbol.dispose]();
  }
}
