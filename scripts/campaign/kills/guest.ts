/** A run of guest.ts in which it, or a process of its guest, is signalled. */
import type { Counts } from "../campaign.ts";
import { exitOf, expectGone, expectNoCrash, type ProgramOptions, startProgram } from "../program.ts";
import type { GuestCase } from "./case.ts";
import { reached, sendAll } from "./signals.ts";

/** Of a guest without faults: 6 s to boot, emulated, and the time that its command takes. On a busy machine 45 s were too few. */
const TIMEOUT_S = 90;
const END_MS = (TIMEOUT_S + 15) * 1000;
const GONE_MS = 10_000;
/** guest.ts: the guest failed; and interrupted. Others are the guest's command's. */
const FAILED = 125;
const INTERRUPTED = 130;

const command = "bun run bind.ts 00:01.0 --json; bun run encode.ts --frames 200 -o out.ivf";

export async function runGuest(one: GuestCase, options: ProgramOptions): Promise<Counts> {
  const words = ["--device", "model:vp9", "--timeout", String(TIMEOUT_S), "--", "sh", "-c", command];
  await using guest = startProgram("guest.ts", words, options);
  const targets = () => {
    if (!guest.running) return [];
    if (one.target === "guest.ts") return [guest.pid];
    return one.target === "all" ? guest.find() : guest.find(one.target);
  };
  const sent = await sendAll(guest, targets, one, { path: "", bytesOf: () => 0 });
  const exit = await exitOf(guest, "guest.ts", END_MS);
  expectNoCrash(guest.said);
  const asked = reached(sent, [guest.pid], "SIGTERM", "SIGINT");
  const killed = reached(sent, [guest.pid], "SIGKILL");
  const others = sent.some(({ signal, to }) => signal !== "SIGCONT" && to.some((pid) => pid !== guest.pid));
  const explained =
    exit.code === 0 ||
    (exit.code === INTERRUPTED && asked) ||
    // Its command's, whose device is dead then, and 125 if the guest itself is.
    ((exit.code === 1 || exit.code === FAILED) && others) ||
    (exit.signal === "SIGKILL" && killed) ||
    // A signal in the first milliseconds finds no handler yet.
    (exit.signal !== null && asked && one.moment.ms < 500);
  if (!explained)
    throw new Error(
      `guest.ts ended with ${JSON.stringify(exit)} after ${JSON.stringify(sent)}: ${guest.said}`,
    );
  await expectGone(guest, "guest.ts", GONE_MS);
  const how = exit.code === null ? `killed by ${exit.signal}` : `exit code ${exit.code}`;
  return {
    [`guest.ts, ${one.target} signalled: ${how}`]: 1,
    ...(sent.length === 0 && { "no signal: it had ended, or not begun": 1 }),
  };
}
