/** A session: the way into the guest for one command at a time. agent.sh is its other end. */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { join } from "node:path";
import { within } from "../os/within.ts";
import { sendInput } from "./input.ts";
import { ANSWER_MS, LEFT_MS, MAX_ENDING_CHARACTERS } from "./limits.ts";
import { markedStream } from "./marked-stream.ts";
import { quote } from "./quote.ts";
import { connect, received } from "./socket.ts";
import type { ByteSink, Input } from "./streams.ts";

export interface Job {
  /** Program and arguments. */
  readonly command: readonly string[];
  /** Its working directory in the guest. */
  readonly folder: string;
  /** A user of the guest, by name; root if undefined. */
  readonly user: string | undefined;
  /** Columns of the terminal that its standard error leads to; 0 for none. */
  readonly columns: number;
}

export interface Streams {
  /** Standard input; /dev/null if undefined. */
  readonly input: Input | undefined;
  readonly onStdout: ByteSink;
  readonly onStderr: ByteSink;
  /** Called when the command starts. */
  readonly onStart: () => void;
}

export interface Session {
  /**
   * Runs a command until it ends or `cut` resolves; the guest then ends the command's processes.
   * @returns the line that the guest gives for its exit code; undefined if it was cut
   * @throws what a sink or the input throws
   */
  run(job: Job, streams: Streams, cut: Promise<unknown>): Promise<string | undefined>;
  /** Resolves when the session can be used again, after a run. */
  freed(): Promise<void>;
  /** None of the session's processes is left: the guest says so, or is gone itself. */
  onFree(): void;
  /** The guest has rebooted: the command there runs again, without standard input. */
  onReboot(): void;
}

/** A session's streams, in the order of its ports. */
const streamNames = ["stdin", "stdout", "stderr"] as const;

/** The sockets of some sessions, in the order of the guest's ports. */
export const sessionSockets = (folder: string, count: number): string[] =>
  Array.from({ length: count }, (_, number) =>
    streamNames.map((name) => socketPath(folder, number, name)),
  ).flat();

const socketPath = (folder: string, number: number, name: (typeof streamNames)[number]) =>
  join(folder, `${number}-${name}`);

/**
 * @param folder folder of QEMU's sockets
 * @param order sends a line to the guest's agent
 */
export function openSession(folder: string, number: number, order: (line: string) => void): Session {
  let begun = Promise.withResolvers<void>();
  let free = Promise.withResolvers<void>();
  let again: (() => void) | undefined;
  return {
    async run(job, { input, onStdout, onStderr, onStart }, cut) {
      const token = randomBytes(16).toString("hex");
      free = Promise.withResolvers();
      begun = Promise.withResolvers();
      using sockets = new DisposableStack();
      const open = async (name: (typeof streamNames)[number]) => {
        const socket = await connect(socketPath(folder, number, name)).catch(async (error: unknown) => {
          // If QEMU is gone, the end of the guest is what is to be told.
          if (await within(ANSWER_MS, cut)) return new Promise<never>(() => {});
          throw error;
        });
        sockets.defer(() => socket.destroy());
        return socket;
      };
      const start = () => {
        onStart();
        begun.resolve();
      };
      const output = Promise.all([
        open("stdout").then((socket) => readOutput(socket, token, onStdout, start)),
        open("stderr").then((socket) => readOutput(socket, token, onStderr)),
      ]).then(([line]) => line);
      let stdin: Socket | undefined;
      const submit = async (isFirst: boolean) => {
        stdin?.destroy(); // QEMU has one client at a time
        const socket = await open("stdin");
        stdin = socket;
        const text = jobText(job, isFirst, input !== undefined);
        socket.write(`${token}\n${Buffer.byteLength(text)}\n${text}`);
        order(`run ${number} ${token}`);
        if (isFirst && input !== undefined) await sendInput(input, socket);
        else if (input !== undefined) socket.end();
      };
      again = () => void submit(false).catch(() => {}); // QEMU is gone, and boot() knows
      let line: string | undefined;
      try {
        // The input's end is not the command's.
        const failed = submit(true).then(() => new Promise<never>(() => {}));
        line = await Promise.race([output, failed, cut.then(() => undefined)]);
        return line;
      } finally {
        again = undefined;
        output.catch(() => {});
        const end = () => order(`end ${number}`);
        if (line === undefined) {
          // The agent heeds the end only of a command that has begun.
          await within(ANSWER_MS, begun.promise);
          end();
        } else void within(LEFT_MS, free.promise).then((isFree) => isFree || end());
      }
    },
    freed: () => free.promise,
    onFree() {
      begun.resolve();
      free.resolve();
    },
    onReboot() {
      if (again) again();
      else this.onFree();
    },
  };
}

/** Writes down the command's process group, which agent.sh may end from then on. */
const BEGIN = 'at=$1; shift; echo $$ > "$at/group"; [ -e "$at/ended" ] || exec "$@"';

/** What agent.sh reads to run a command. */
function jobText({ command, folder, user, columns }: Job, isFirst: boolean, hasInput: boolean): string {
  const settings = {
    begun: isFirst ? "" : "1",
    input: hasInput ? "1" : "",
    columns: String(columns),
    folder,
  };
  const words = command.map(quote).join(" ");
  const asUser = user === undefined ? "" : `su -c 'exec "$@"' -- ${quote(user)} guest`;
  return [
    ...Object.entries(settings).map(([key, value]) => `${key}=${quote(value)}`),
    `start() { exec setsid sh -c '${BEGIN}' guest "$1" ${asUser} ${words}; }`,
    "",
  ].join("\n");
}

/** Passes on the command's output. Returns the line that follows it, which may be empty. */
async function readOutput(
  socket: Socket,
  token: string,
  sink: ByteSink,
  onStart: () => void = () => {},
): Promise<string> {
  const stream = markedStream(token);
  for await (const chunk of received(socket)) {
    const before = stream.started;
    const data = stream.feed(chunk);
    if (stream.started && !before) onStart();
    if (data.length > 0) await sink(data);
    const [line = "", ...more] = stream.rest?.split("\n", 2) ?? [];
    if (more.length > 0 || line.length > MAX_ENDING_CHARACTERS) return line.slice(0, MAX_ENDING_CHARACTERS);
  }
  return await new Promise(() => {});
}
