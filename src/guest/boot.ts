/** One run of QEMU: boots the guest, runs its command and ends it. */
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { type MarkedStream, markedStream } from "./marked-stream.ts";
import { type Machine, qemuCommand } from "./qemu.ts";

/** "rebooted": the command did it without permission. "unknown-device": QEMU has no device of that name. */
export type GuestFailure = "timed-out" | "rebooted" | "unknown-device" | "other";

/** The guest failed, not the command in it. */
export class GuestError extends Error {
  /** What happened to the guest: the text to follow "the guest" in a sentence. */
  readonly reason: string;
  readonly kind: GuestFailure;

  constructor(message: string, reason: string, kind: GuestFailure = "other") {
    super(message);
    this.reason = reason;
    this.kind = kind;
  }
}

export interface BootOptions {
  /** Precedes and follows the command's output; init.sh writes it. */
  token: string;
  /** For boot and command together. */
  timeoutMs: number;
  /** Calls for one stream never overlap: the stream waits for the promise that they return. */
  onStdout?: ByteSink | undefined;
  onStderr?: ByteSink | undefined;
  /** The kernel's console, and QEMU's own messages. */
  onConsole?: ((text: string) => void) | undefined;
  /** Called when QEMU starts, and when the guest has booted and starts the command. */
  onBoot?: (() => void) | undefined;
  onCommand?: (() => void) | undefined;
  /** Ends the guest. */
  signal?: AbortSignal | undefined;
}

/** Takes output of the guest. The next bytes come after its promise resolves. */
export type ByteSink = (bytes: Uint8Array) => void | Promise<void>;

/** How the command ended, and how long it took. */
export interface BootResult {
  /** The command's. */
  exitCode: number;
  /** From QEMU's start to the command's. */
  bootMs: number;
  commandMs: number;
}

/** How much of the console an error shows. */
const CONSOLE_LINES = 50;
/** Time for QEMU to exit cleanly. */
const QUIT_MS = 2000;
/** The only form of exit code that is accepted from a guest. */
const EXIT_CODE = /^\d{1,3}$/;
const LONGEST_LINE = 20;
/** The kernel's message on a panic. */
const PANIC = /Kernel panic - not syncing.*/;
/** The kernel's message when it is told to reboot. */
const REBOOTS = "reboot: Restarting system";
/** QEMU's message about a -device that it does not have. */
const UNKNOWN_DEVICE = "is not a valid device model name";
/** QEMU's message when the processor's virtualization exists but does not work. QEMU then stops the guest. */
const KVM_FAILURE = /^(KVM internal error|error: kvm run failed).*$/m;

/** QEMU's message about the signal that ends it here. */
const OUR_SIGNAL = new RegExp(`^.*terminating on signal 15 from pid ${process.pid}\\b.*$`, "m");

/**
 * @param tree folder with QEMU
 * @param folder a folder for sockets
 * @throws GuestError, with the console's last lines, if the command did not finish
 */
export async function boot(
  tree: string,
  folder: string,
  machine: Omit<Machine, "ports">,
  options: BootOptions,
): Promise<BootResult> {
  const { timeoutMs, signal } = options;
  await using stdout = await openPort(folder, "stdout");
  await using stderr = await openPort(folder, "stderr");
  const { command, env } = qemuCommand(tree, { ...machine, ports: [stdout, stderr] });

  options.onBoot?.();
  const startMs = performance.now();
  let commandStartMs: number | undefined;
  const qemu = Bun.spawn(command, {
    detached: true, // the terminal's Ctrl-C is ours to handle
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const console = keepText(qemu.stdout, options.onConsole);
  let killed = false;
  // We cause the messages after we kill it, so they are no news.
  const errors = keepText(qemu.stderr, (text) => killed || options.onConsole?.(text));

  const onCommand = () => {
    commandStartMs = performance.now();
    options.onCommand?.();
  };
  const exitCode = (async () => {
    const [line] = await Promise.all([
      readPort(stdout, options.token, options.onStdout, onCommand),
      readPort(stderr, options.token, options.onStderr),
    ]);
    if (!EXIT_CODE.test(line)) return `gave ${JSON.stringify(line)} for the command's exit code`;
    return Number(line);
  })();
  exitCode.catch(() => {}); // a sink's failure counts only during the race below
  let timer: Timer | undefined;
  let timedOut = false;
  const ending = new Promise<string>((resolve) => {
    timer = setTimeout(() => {
      timedOut = true;
      resolve(`did not finish within ${timeoutMs / 1000} s`);
    }, timeoutMs);
    signal?.addEventListener("abort", () => resolve("was interrupted"), { once: true });
    if (signal?.aborted) resolve("was interrupted");
    void qemu.exited.then(async (code) => {
      await Promise.all([console.done, errors.done]);
      resolve(code === 0 ? "ended by itself" : `could not run: QEMU ended with exit code ${code}`);
    });
    void errors.until(KVM_FAILURE).then((failure) => resolve(`was stopped: ${failure}`));
    // Without `reboots`, QEMU exits on a panic.
    if (machine.reboots) void console.until(PANIC).then((panic) => resolve(`was stopped: ${panic}`));
  });
  let end: number | string;
  let endMs: number;
  try {
    end = await Promise.race([exitCode, ending]);
    endMs = performance.now();
  } finally {
    clearTimeout(timer);
    killed = true;
    qemu.kill("SIGTERM");
    const killer = setTimeout(() => qemu.kill("SIGKILL"), QUIT_MS);
    await qemu.exited;
    clearTimeout(killer);
  }
  if (typeof end === "string") {
    const place = commandStartMs === undefined ? "while it booted" : "while the command ran";
    const lines = [
      `the ${machine.arch} guest ${end}, ${place}`,
      ...lastLines("QEMU said:", errors.text().replace(OUR_SIGNAL, "")),
      ...lastLines(
        "the last lines of its console:",
        console.text(),
        timedOut ? "its console is empty" : undefined,
      ),
    ];
    const rebooted = !machine.reboots && commandStartMs !== undefined && console.text().includes(REBOOTS);
    const unknown = errors.text().includes(UNKNOWN_DEVICE);
    const kind = timedOut ? "timed-out" : rebooted ? "rebooted" : unknown ? "unknown-device" : "other";
    throw new GuestError(lines.join("\n"), end, kind);
  }
  return { exitCode: end, bootMs: commandStartMs! - startMs, commandMs: endMs - commandStartMs! };
}

interface OpenPort extends AsyncDisposable {
  name: string;
  path: string;
  /** QEMU's connection. */
  socket: Promise<Socket>;
}

async function openPort(folder: string, name: string): Promise<OpenPort> {
  const path = join(folder, name);
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const server = createServer(resolve);
  await new Promise<void>((listening, failed) => {
    server.once("error", failed);
    server.listen(path, listening);
  });
  return {
    name,
    path,
    socket: promise,
    async [Symbol.asyncDispose]() {
      server.close();
      void promise.then((socket) => socket.destroy());
    },
  };
}

/** Passes on the command's output on a port. Returns the line that follows it, which may be empty. */
async function readPort(
  port: OpenPort,
  token: string,
  sink: ByteSink = () => {},
  onStart: () => void = () => {},
): Promise<string> {
  const stream: MarkedStream = markedStream(token);
  for await (const chunk of await port.socket) {
    const before = stream.started;
    const data = stream.feed(chunk as Uint8Array);
    if (stream.started && !before) onStart();
    if (data.length > 0) await sink(data);
    const [line = "", ...more] = stream.rest?.split("\n", 2) ?? [];
    if (more.length > 0 || line.length > LONGEST_LINE) return line.slice(0, LONGEST_LINE);
  }
  return await new Promise(() => {}); // QEMU is gone, and boot() knows
}

interface KeptText {
  text(): string;
  /** Resolves at the end of the stream. */
  done: Promise<void>;
  /** Resolves with the first match of a pattern, if there is one. */
  until(pattern: RegExp): Promise<string>;
}

/** Keeps the end of a text stream, without anything that would move a terminal's cursor. */
function keepText(
  stream: ReadableStream<Uint8Array>,
  onText: (text: string) => unknown = () => {},
): KeptText {
  let kept = "";
  const waiting: { pattern: RegExp; resolve: (text: string) => void }[] = [];
  const done = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      const text = plain(decoder.decode(chunk, { stream: true }));
      kept = (kept + text).slice(-65_536);
      onText(text);
      for (const { pattern, resolve } of waiting) {
        const [match] = pattern.exec(kept) ?? [];
        if (match !== undefined) resolve(match);
      }
    }
  })();
  return {
    text: () => kept,
    done,
    until: (pattern) => new Promise((resolve) => waiting.push({ pattern, resolve })),
  };
}

/** Text without escape sequences and control characters (ECMA-48), except newline and tab. */
const plain = (text: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern looks for them
  text.replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])/g, "").replace(/[^\P{Cc}\n\t]/gu, "");

function lastLines(title: string, text: string, ifNone?: string): string[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0) return ifNone === undefined ? [] : [ifNone];
  return [title, ...lines.slice(-CONSOLE_LINES).map((line) => `  ${line}`)];
}
