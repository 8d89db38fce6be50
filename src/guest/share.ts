/** The folder that a guest writes to, served over virtiofs by a process of its own (docs/guest.md says why not by QEMU's 9p). */
import { treeCommand } from "./qemu.ts";

/** virtiofsd says so when QEMU can connect. */
const READY = "Waiting for vhost-user socket connection";
const STOP_MS = 2000;
const ALL_IDS = 2 ** 32 - 1;

/**
 * Starts virtiofsd for a folder; resolves when QEMU can connect to its socket. It ends with this process, however that ends.
 * @param tree folder with QEMU and virtiofsd
 * @throws Error with what virtiofsd said when it does not come up
 */
export async function serveShare(tree: string, folder: string, socketPath: string): Promise<AsyncDisposable> {
  // Whatever user of the guest makes a file, it is this process's user's: others could not be had without root.
  const squash = (id: number) => `squash-guest:0:${id}:${ALL_IDS}`;
  const { command, env } = treeCommand(tree, "usr/libexec/virtiofsd", [
    ...["--shared-dir", folder, "--socket-path", socketPath, "--sandbox", "none"],
    ...["--translate-uid", squash(process.getuid!()), "--translate-gid", squash(process.getgid!())],
    // The guest keeps nothing but pages that are mapped, so that each side sees at once what the other one writes.
    ...["--cache", "never", "--allow-mmap"],
  ]);
  const server = Bun.spawn(command, {
    detached: true, // the terminal's Ctrl-C is ours to handle
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const reader = server.stderr.getReader();
  const decoder = new TextDecoder();
  let said = "";
  while (!said.includes(READY)) {
    const { value, done } = await reader.read();
    if (done)
      throw new Error(`virtiofsd, which serves the guest's working directory, did not start: ${said.trim()}`);
    said += decoder.decode(value, { stream: true });
  }
  void (async () => {
    while (!(await reader.read()).done); // else it would wait for a reader some day
  })();
  return {
    async [Symbol.asyncDispose]() {
      server.kill("SIGTERM");
      const late = setTimeout(() => server.kill("SIGKILL"), STOP_MS);
      await server.exited;
      clearTimeout(late);
    },
  };
}
