/**
 * A model as a vfio-user server in its own process, which exits with the process that started it: for a
 * guest, or any other client that takes a socket's path.
 */
import { randomBytes } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findTool } from "../../debian/process.ts";
import { bunProgram, ownFile } from "../../os/bun-program.ts";
import { LAST_WORDS_MS, PROCESS_STOP_MS, START_MS } from "../limits.ts";
import { type ModelSpec, parseModelSpec } from "../models.ts";
import { eachLine, startingLines, upWithin, whenUp } from "./lines.ts";
import { isLeftBehind } from "./private-socket.ts";

/** A model in a process of its own, which ends when this is disposed of. */
export interface ServedModel extends AsyncDisposable {
  /** The spec that opens it: vfio-user:/path/to.sock. */
  readonly spec: string;
}

/** Options for `serveModel`. */
export interface ServeModelOptions {
  /** Where the server listens, with mode 0600. Default: a path of its own in the folder for temporary files. */
  readonly socketPath?: string;
  /** Takes what the model falls back to, and a line if it exits by itself. Default: standard error. */
  readonly log?: (line: string) => void;
}

/**
 * Starts the server; resolves when it accepts clients. The socket is gone at the end, also if this process is killed.
 * @param model a spec such as "model:./counter.model.ts", or the URL of a model's file, both with options after "?"
 * @throws Error with its output if it does not start, within two minutes
 */
export function serveModel(
  model: string | URL | ModelSpec,
  options: ServeModelOptions = {},
): Promise<ServedModel> {
  return serveWithin(START_MS, model, options);
}

/** serveModel with another time to start. */
export async function serveWithin(
  startMs: number,
  model: string | URL | ModelSpec,
  { socketPath = ownPath(), log = console.error }: ServeModelOptions,
): Promise<ServedModel> {
  const { spec, file, query } = specOf(model);
  const program = bunProgram(ownFile("./served-program.ts", import.meta.url));
  const words = [findTool("setpriv"), "--pdeathsig", "TERM", ...program, socketPath, file, query];
  const server = Bun.spawn(words, {
    detached: true, // the terminal's Ctrl-C is ours to handle
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = startingLines();
  let isUp = false;
  const take = (line: string) => {
    if (isUp) log(`${spec}: ${line}`);
    else said.add(line);
  };
  const errors = eachLine(server.stderr, (line) => {
    take(line);
    return true;
  });
  const output = whenUp(server.stdout, take);
  const ended = Promise.all([output.ended, errors]);
  const { line, isLate } = await upWithin(startMs, server, output.up);
  if (line === undefined) {
    await Promise.race([ended, server.exited.then(() => Bun.sleep(LAST_WORDS_MS))]);
    if (isLate) rmSync(socketPath, { force: true });
    const when = isLate ? ` within ${startMs / 1000} s, and was ended` : "";
    throw new Error(`${spec} did not start${when}: ${said.all().join("\n").trim()}`);
  }
  isUp = true;
  for (const line of said.all()) log(`${spec}: ${line}`);
  let ending = false;
  void server.exited.then(async (exitCode) => {
    // Its standby shares its standard error, which may therefore stay open.
    await Promise.race([ended, Bun.sleep(LAST_WORDS_MS)]);
    if (ending) return;
    const how = server.signalCode ?? `exit code ${exitCode}`;
    const rest = exitCode === 0 ? "" : "; the guest now sees a dead device";
    log(`${spec} ended (${how})${rest}`);
  });
  return {
    spec: `vfio-user:${socketPath}`,
    async [Symbol.asyncDispose]() {
      ending = true;
      server.kill("SIGTERM");
      const late = setTimeout(() => server.kill("SIGKILL"), PROCESS_STOP_MS);
      await server.exited;
      clearTimeout(late);
      await Promise.race([ended, Bun.sleep(LAST_WORDS_MS)]); // its standby ends a moment later
      if (server.signalCode) rmSync(socketPath, { force: true }); // a killed server left it
    },
  };
}

/** A path that nothing has yet, and short enough for a socket. Sockets of servers that were killed with their starters are removed. */
function ownPath(): string {
  for (const name of readdirSync(tmpdir()))
    if (/^vfiokit-model-[\da-f]{16}\.sock$/.test(name)) removeIfLeft(join(tmpdir(), name));
  return join(tmpdir(), `vfiokit-model-${randomBytes(8).toString("hex")}.sock`);
}

function removeIfLeft(path: string): void {
  try {
    if (isLeftBehind(path)) rmSync(path, { force: true });
  } catch {} // another user's
}

function specOf(model: string | URL | ModelSpec): ModelSpec {
  if (typeof model === "string") return parseModelSpec(model);
  return model instanceof URL ? parseModelSpec(`model:${fileURLToPath(model)}${model.search}`) : model;
}
