/** Serves the folder that a guest writes to, by virtiofsd (docs/guest.md says why not by QEMU's 9p). */
import { MAX_KEPT_CHARACTERS, SHARE_START_MS, SHARE_STOP_MS } from "./limits.ts";
import { treeCommand } from "./qemu.ts";

/** virtiofsd's message when QEMU can connect. */
const READY = "Waiting for vhost-user socket connection";
const ALL_IDS = 2 ** 32 - 1;

/**
 * Starts virtiofsd for a folder; resolves when QEMU can connect to its socket. It is killed when this process
 * exits, for any reason.
 * @param tree folder with QEMU and virtiofsd
 * @throws Error with virtiofsd's output if it does not start
 */
export async function serveShare(
  tree: string,
  folder: string,
  socketPath: string,
  startMs = SHARE_START_MS,
): Promise<AsyncDisposable> {
  // This process's user owns the files of all users in the guest: other owners would need root.
  const squash = (id: number) => `squash-guest:0:${id}:${ALL_IDS}`;
  const { command, env } = treeCommand(tree, "usr/libexec/virtiofsd", [
    ...["--shared-dir", folder, "--socket-path", socketPath, "--sandbox", "none"],
    ...["--translate-uid", squash(process.getuid!()), "--translate-gid", squash(process.getgid!())],
    // The guest caches only mapped pages, so each side sees at once what the other one writes.
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
  let isLate = false;
  const late = setTimeout(() => {
    isLate = true;
    server.kill("SIGKILL");
  }, startMs);
  while (!said.includes(READY)) {
    const { value, done } = await reader.read();
    if (done) {
      clearTimeout(late);
      const when = isLate ? ` within ${startMs / 1000} s, and was ended` : "";
      throw new Error(
        `virtiofsd, which serves the guest's working directory, did not start${when}: ${said.trim()}`,
      );
    }
    said = (said + decoder.decode(value, { stream: true })).slice(-MAX_KEPT_CHARACTERS);
  }
  clearTimeout(late);
  const ended = (async () => {
    while (!(await reader.read()).done); // else virtiofsd would block on a full pipe some day
  })();
  return {
    async [Symbol.asyncDispose]() {
      server.kill("SIGTERM");
      const late = setTimeout(() => server.kill("SIGKILL"), SHARE_STOP_MS);
      await Promise.all([server.exited, ended]);
      clearTimeout(late);
    },
  };
}
