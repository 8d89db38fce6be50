/** Runs a script in headless Chromium. */
import { join } from "node:path";
import { tempFolder } from "../media/rig.ts";

const PROGRAM = "chromium-headless-shell";
const TIMEOUT_MS = 60_000;

/**
 * Runs the default export of a script of the folder page/ in a page, and gives the JSON value that it resolves to. The script
 * finds `files`, paths by their names, under /file/. Throws what the script throws, and when Chromium ends or takes 60 s.
 */
export async function inChromium<T>(
  script: string,
  files: Readonly<Record<string, string>> = {},
): Promise<T> {
  if (!Bun.which(PROGRAM)) throw new Error(`this test needs ${PROGRAM}; test/setup.sh installs it`);
  const page = await pageOf(join(import.meta.dir, "page", script));
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    routes: {
      "/": new Response(page, { headers: { "content-type": "text/html" } }),
      // Bun answers a range of a file, which seeking needs.
      "/file/:name": ({ params }) => new Response(Bun.file(files[params.name]!)),
      "/value": async (request) => {
        resolve((await request.json()) as T);
        return new Response();
      },
      "/error": async (request) => {
        reject(new Error(`${script} in ${PROGRAM}: ${await request.text()}`));
        return new Response();
      },
    },
  });
  using profile = tempFolder();
  const options = ["--no-sandbox", "--remote-debugging-port=0", `--user-data-dir=${profile.file("profile")}`];
  const browser = Bun.spawn([PROGRAM, ...options, `${server.url}`], {
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  const late = setTimeout(
    () => reject(new Error(`${script} in ${PROGRAM}: no result after ${TIMEOUT_MS} ms`)),
    TIMEOUT_MS,
  );
  const said = new Response(browser.stderr).text();
  void said.then((text) => reject(new Error(`${PROGRAM} ended:\n${text}`)));
  try {
    return await promise;
  } finally {
    clearTimeout(late);
    process.kill(-browser.pid, "SIGKILL"); // its helpers, too, which have the pipe
    await said;
  }
}

/** A page with the script in it, which sends its result or its error to the server. */
async function pageOf(script: string): Promise<string> {
  const main = "main.ts";
  const code = `import script from ${JSON.stringify(script)};
    const send = (path, body) => fetch(path, { method: "POST", body });
    script().then((value) => send("/value", JSON.stringify(value)), (error) => send("/error", String(error)));`;
  const { outputs } = await Bun.build({ entrypoints: [main], files: { [main]: code } });
  return `<!doctype html><meta charset="utf-8"><script type="module">${await outputs[0]!.text()}</script>`;
}
