/**
 * The software model of the encoder as a device: a child process that serves it over vfio-user on a socket pair, so
 * that it lives exactly as long as its one client. This floor knows the program's command line, not its code.
 */
import { fileURLToPath } from "node:url";
import { socketPair } from "../os/socket.ts";
import { DeviceError, type PciDevice } from "./device.ts";
import { openVfioUser } from "./vfio-user/client.ts";

const PROGRAM = fileURLToPath(new URL("../model/vp9/child.ts", import.meta.url));
/** Where Bun.spawn puts the first descriptor after stdin, stdout and stderr. */
const CHILD_FD = 3;

/**
 * `model:vp9`, with options as a query: `model:vp9?codec=null&fault=die@3`, as scripts/model.ts has them. Throws
 * DeviceError.
 */
export function openModel(spec: string): PciDevice {
  const [name, query = ""] = spec.slice("model:".length).split("?", 2);
  if (name !== "vp9")
    throw new DeviceError(`${spec}: there is no model "${name}"; the one there is is model:vp9`);
  const options = new URLSearchParams(query);
  const unknown = [...options.keys()].find((key) => key !== "codec" && key !== "fault");
  if (unknown) throw new DeviceError(`${spec}: model:vp9 has no option "${unknown}"; it has codec and fault`);
  const [ours, theirs] = socketPair();
  try {
    const child = Bun.spawn(
      [
        process.execPath,
        PROGRAM,
        String(CHILD_FD),
        options.get("codec") ?? "auto",
        options.get("fault") ?? "",
      ],
      {
        stdio: ["ignore", "ignore", "inherit", theirs.number],
        // In a process group of its own, where Ctrl-C on the terminal does not reach it, not even while it starts.
        detached: true,
      },
    );
    child.unref();
  } finally {
    theirs[Symbol.dispose]();
  }
  return openVfioUser(ours, spec);
}
