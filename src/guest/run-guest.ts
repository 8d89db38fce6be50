/** Boots a guest, runs one command in it and ends it. */
import { type GuestFacts, type OpenGuest, openGuest } from "./guest.ts";
import { GUEST_MS } from "./limits.ts";
import type { GuestOptions } from "./options.ts";
import { runShell } from "./shell.ts";

/** An output that was not written. */
export interface UnwrittenFile {
  path: string;
  /** Why: the text to follow the path and a colon. */
  reason: string;
}

/** What a guest was, and how its command ended. */
export interface GuestResult extends GuestFacts {
  /** The command's. */
  exitCode: number;
  /** From QEMU's start to the command's. */
  bootMs: number;
  commandMs: number;
  /** The outputs that were not written. */
  unwritten: UnwrittenFile[];
}

/**
 * Boots a guest with vfiokit and the project inside, runs a command in it and ends it. Fetches the guest's assets on
 * first use.
 * @throws GuestError if the guest failed, MissingToolError if this machine lacks a tool or package,
 *   OptionError if an option can't work (no such file or kernel, too little memory), and errors of writing
 *   outputs
 */
export async function runGuest(options: GuestOptions): Promise<GuestResult> {
  const { log = () => {}, outputs = [], timeoutMs = GUEST_MS } = options;
  const hasTerminal = options.terminal !== undefined;
  const timeoutOf = hasTerminal ? "boot" : "life";
  await using guest = await openGuest({ ...options, timeoutMs }, { timeoutOf, hasTerminal });
  const [ended] = await Promise.allSettled([runIn(guest, options)]);
  const unwritten: UnwrittenFile[] = [];
  for (const path of outputs) {
    const reason = await guest.take(path);
    if (reason !== undefined) unwritten.push({ path, reason });
  }
  if (ended.status === "rejected") {
    for (const { path, reason } of unwritten) log(`${path}: ${reason}`);
    throw ended.reason;
  }
  const { arch, accelerator, kernel } = guest;
  return { ...ended.value, arch, accelerator, kernel, unwritten };
}

async function runIn(
  guest: OpenGuest,
  { command, onCommand, terminal, terminalColumns, ...options }: GuestOptions,
) {
  let bootMs = guest.bootMs;
  const onStart = () => {
    bootMs = performance.now() - guest.startMs;
    onCommand?.();
  };
  const { exitCode, durationMs } = terminal
    ? await runShell(guest, terminal, onStart)
    : await guest.runner(command, {
        stdin: options.stdin,
        onStdout: options.onStdout ?? ignore,
        onStderr: options.onStderr ?? ignore,
        cwd: guest.work,
        columns: terminalColumns ?? 0,
        onStart,
      });
  return { exitCode, bootMs, commandMs: durationMs };
}

const ignore = () => {};
