/** Programs of this machine that a set-up needs: groups, modules, udev. */
import { existsSync } from "node:fs";
import { readAttribute } from "../bus/attribute.ts";
import { UDEV_SOCKET } from "../bus/await-node.ts";
import { BusError } from "../bus/bus-error.ts";
import { PROGRAM_MS } from "../limits.ts";

/** Where the administrator's programs are, if the PATH of sudo or su lacks them. */
const PLACES = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;

/** Whether this machine has a program. */
export const hasProgram = (name: string): boolean => Bun.which(name, { PATH: PLACES }) !== null;

/** Runs a program, and returns what it printed. Throws BusError if it is missing, fails or takes too long. */
export async function runProgram(command: readonly string[], limitMs = PROGRAM_MS): Promise<string> {
  const text = command.join(" ");
  const path = Bun.which(command[0]!, { PATH: PLACES });
  if (path === null) throw new BusError(`can't run ${text}: this machine has no program ${command[0]}`);
  const child = Bun.spawn([path, ...command.slice(1)], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: limitMs,
    killSignal: "SIGKILL",
  });
  const [printed, errors, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (child.signalCode !== null)
    throw new BusError(`${text} was ended by ${child.signalCode}; it had ${limitMs / 1000} s`);
  if (exitCode !== 0) throw new BusError(`${text} failed with exit code ${exitCode}: ${errors.trim()}`);
  return printed;
}

/** A group's number; undefined if there is no such group. */
export async function groupNumber(name: string): Promise<number | undefined> {
  const entry = hasProgram("getent")
    ? await runProgram(["getent", "group", name]).catch(() => "")
    : (readAttribute("/etc/group") ?? "").split("\n").find((line) => line.startsWith(`${name}:`));
  const number = /^[^:]+:[^:]*:(\d+):/.exec(entry ?? "")?.[1];
  return number === undefined ? undefined : Number(number);
}

/** The command that adds a group, or removes it, as this machine has it: shadow's, or busybox's and adduser's. */
export function groupCommand(what: "add" | "delete", name: string): string[] {
  if (what === "add")
    return hasProgram("groupadd") || !hasProgram("addgroup")
      ? ["groupadd", "--system", name]
      : ["addgroup", "-S", name];
  return [hasProgram("groupdel") || !hasProgram("delgroup") ? "groupdel" : "delgroup", name];
}

/** Whether udev runs here, and can be told to read its rules again. */
export const udevRuns = (): boolean => hasProgram("udevadm") && existsSync(UDEV_SOCKET);
