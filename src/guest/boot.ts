/** One run of QEMU: boots the guest, and watches over it until it ends. */
import { join } from "node:path";
import { keepText, lastLines } from "./console.ts";
import { CONTROL, openControl } from "./control.ts";
import { type Ending, GuestError, interruption, lateEnding } from "./failure.ts";
import { QUIT_MS, SESSIONS } from "./limits.ts";
import { type Machine, qemuCommand } from "./qemu.ts";
import { connectQmp, type Qmp } from "./qmp.ts";
import { openSession, type Session, sessionSockets } from "./session.ts";

export interface BootOptions {
  timeoutMs: number;
  /** Whether the time is for the boot, or for the guest's whole life. */
  timeoutOf: "boot" | "life";
  /** Whether the guest has a terminal, for a shell. */
  hasTerminal?: boolean;
  /** The kernel's console, and QEMU's own messages. */
  onConsole?: ((text: string) => void) | undefined;
  /** Called when QEMU starts. */
  onBoot?: (() => void) | undefined;
  /** Ends the guest. */
  signal?: AbortSignal | undefined;
}

/** A guest that has booted. */
export interface Booted extends AsyncDisposable {
  /** When QEMU was started, in performance.now()'s time. */
  readonly startMs: number;
  readonly sessions: readonly Session[];
  readonly qmp: Qmp;
  /** QEMU's socket for the guest's terminal, if it has one. */
  readonly terminalSocket: string;
  /** Ends the guest with an error. */
  fail(ending: Ending): void;
  /** Resolves when the guest has ended, for any reason. */
  readonly died: Promise<GuestError>;
  /** Adds the console's last lines to a sentence. */
  explain(sentence: string): string;
  /** A command begins; the function returned is to be called at its end. Errors say whether one ran. */
  begin(): () => void;
}

/** QEMU's socket for its machine protocol. */
const QMP = "qmp";
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
 * @throws GuestError, with the console's last lines, if the guest does not boot
 */
export async function boot(
  tree: string,
  folder: string,
  machine: Omit<Machine, "controlSocket" | "sessionSockets" | "qmpSocket" | "terminalSocket">,
  options: BootOptions,
): Promise<Booted> {
  const { timeoutMs, signal } = options;
  await using held = new AsyncDisposableStack();
  const control = held.use(await openControl(folder));
  const terminalSocket = join(folder, "terminal");
  const { command, env } = qemuCommand(tree, {
    ...machine,
    qmpSocket: join(folder, QMP),
    terminalSocket: options.hasTerminal ? terminalSocket : undefined,
    controlSocket: join(folder, CONTROL),
    sessionSockets: sessionSockets(folder, SESSIONS),
  });

  options.onBoot?.();
  const startMs = performance.now();
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

  const { promise: ending, resolve: fail } = Promise.withResolvers<Ending>();
  const interrupt = () => fail(interruption);
  signal?.addEventListener("abort", interrupt, { once: true });
  if (signal?.aborted) interrupt();
  const timer = setTimeout(() => fail(lateEnding(timeoutMs)), timeoutMs);
  void qemu.exited.then(async (code) => {
    await Promise.all([console.done, errors.done]);
    fail({ reason: code === 0 ? "ended by itself" : `could not run: QEMU ended with exit code ${code}` });
  });
  void errors.until(KVM_FAILURE).then((failure) => fail({ reason: `was stopped: ${failure}` }));
  // Without `reboots`, QEMU exits on a panic.
  if (machine.reboots) void console.until(PANIC).then((panic) => fail({ reason: `was stopped: ${panic}` }));

  let booted = false;
  let running = 0;
  const { promise: ready, resolve: isReady } = Promise.withResolvers<void>();
  const sessions = Array.from({ length: SESSIONS }, (_, number) => openSession(folder, number, control.send));
  control.onLine = (line) => {
    const [word, number] = line.split(" ");
    if (word === "free") sessions[Number(number)]?.onFree();
    if (word !== "ready") return;
    if (booted) for (const session of sessions) session.onReboot();
    booted = true;
    isReady();
  };

  const died = ending.then(async (ending) => {
    const place = running > 0 ? "while the command ran" : booted ? "between commands" : "while it booted";
    clearTimeout(timer);
    signal?.removeEventListener("abort", interrupt);
    killed = true;
    qemu.kill("SIGTERM");
    const killer = setTimeout(() => qemu.kill("SIGKILL"), QUIT_MS);
    await Promise.all([qemu.exited, console.done, errors.done]);
    clearTimeout(killer);
    for (const session of sessions) session.onFree();
    return failure(ending, place);
  });

  /** The error, with what explains it. */
  function failure({ reason, kind }: Ending, place: string): GuestError {
    const rebooted = !machine.reboots && booted && console.text().includes(REBOOTS);
    const unknown = errors.text().includes(UNKNOWN_DEVICE);
    const found = rebooted ? "rebooted" : unknown ? "unknown-device" : "other";
    const ifNone = kind === "timed-out" ? "its console is empty" : undefined;
    return new GuestError(
      explain(`the ${machine.arch} guest ${reason}, ${place}`, ifNone),
      reason,
      kind ?? found,
    );
  }

  function explain(sentence: string, ifNone?: string): string {
    return [
      sentence,
      ...lastLines("QEMU said:", errors.text().replace(OUR_SIGNAL, "")),
      ...lastLines("the last lines of its console:", console.text(), ifNone),
    ].join("\n");
  }

  held.defer(async () => {
    fail({ reason: "was closed", kind: "closed" });
    await died;
  });
  const failed = await Promise.race([ready, died]);
  if (failed) throw failed;
  const qmp = held.use(await connectQmp(join(folder, QMP)));
  if (options.timeoutOf === "boot") clearTimeout(timer);
  const resources = held.move();
  return {
    startMs,
    sessions,
    qmp,
    terminalSocket,
    fail,
    died,
    explain,
    begin() {
      running++;
      return () => void running--;
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
