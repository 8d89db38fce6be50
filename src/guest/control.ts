/** The guest's control port: lines between this process and agent.sh, in both directions. */
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { onLines } from "./socket.ts";

/** The guest's name for the port, and its socket's here. */
export const CONTROL = "control";

export interface Control extends AsyncDisposable {
  /** Sends a line once QEMU is there. */
  send(line: string): void;
  /** Gets every line of the guest. */
  onLine: (line: string) => void;
}

/** Listens for QEMU. */
export async function openControl(folder: string): Promise<Control> {
  const { promise: qemu, resolve } = Promise.withResolvers<Socket>();
  const server = createServer(resolve);
  await new Promise<void>((listening, failed) => {
    server.once("error", failed);
    server.listen(join(folder, CONTROL), listening);
  });
  const control: Control = {
    send: (line) => void qemu.then((socket) => socket.write(`${line}\n`)),
    onLine: () => {},
    async [Symbol.asyncDispose]() {
      server.close();
      void qemu.then((socket) => socket.destroy());
    },
  };
  void qemu.then((socket) => {
    socket.on("error", () => {}); // QEMU is gone, and boot() knows
    onLines(socket, (line) => control.onLine(line));
  });
  return control;
}
