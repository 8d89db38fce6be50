/**
 * The software model's process: a child that serves its parent on a socket pair, so that it lives exactly as long as
 * its one client. This floor knows the program's command line, not its code.
 */
import { fileURLToPath } from "node:url";
import type { Fd } from "../os/fd.ts";
import { socketPair } from "../os/socket.ts";
import { DeviceError } from "./device.ts";

const PROGRAM = fileURLToPath(new URL("../model/vp9/child.ts", import.meta.url));
/** Where Bun.spawn puts the first descriptor after stdin, stdout and stderr. */
const CHILD_FD = 3;

let prepared: { readonly spec: string; readonly socket: Fd } | undefined;

/** Starts a model that the next takeModel of the same spec takes; it starts while its parent does other things. */
export function prepareModel(spec: string): void {
  prepared = { spec, socket: startModel(spec) };
}

/** The connected socket of a model of its own. Throws DeviceError. */
export function takeModel(spec: string): Fd {
  const taken = prepared;
  prepared = undefined;
  if (taken?.spec === spec) return taken.socket;
  taken?.socket[Symbol.dispose]();
  return startModel(spec);
}

function startModel(spec: string): Fd {
  const [name, query = ""] = spec.slice("model:".length).split("?", 2);
  if (name !== "vp9")
    throw new DeviceError(`${spec}: there is no model "${name}"; the one there is is model:vp9`);
  const options = new URLSearchParams(query);
  const unknown = [...options.keys()].find((key) => key !== "codec" && key !== "fault");
  if (unknown) throw new DeviceError(`${spec}: model:vp9 has no option "${unknown}"; it has codec and fault`);
  const [ours, theirs] = socketPair();
  const command = [PROGRAM, String(CHILD_FD), options.get("codec") ?? "auto", options.get("fault") ?? ""];
  try {
    const child = Bun.spawn([process.execPath, ...command], {
      // The model's JavaScript is little; compiling it again, better, costs 10 MiB and gains nothing measurable.
      env: { ...process.env, BUN_JSC_useDFGJIT: "0" },
      stdio: ["ignore", "ignore", "inherit", theirs.number],
      // In a process group of its own, where Ctrl-C on the terminal does not reach it, not even while it starts.
      detached: true,
    });
    child.unref();
    return ours;
  } catch (error) {
    ours[Symbol.dispose]();
    throw new DeviceError(`${spec}: the model's process could not be started: ${String(error)}`, {
      cause: error,
    });
  } finally {
    theirs[Symbol.dispose]();
  }
}
