/** The README's first command where libvpx is not installed: with Debian's archive, with a slow one, and with none. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mirrorOf } from "../../src/debian/archive.ts";
import { tempFolder } from "../media/rig.ts";
import { withoutLibvpx, withoutNetwork, withSources } from "./fresh-machine.ts";
import { type Ended, encode, type Running, start, until } from "./rig.ts";

setDefaultTimeout(180_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

/** The command with a cache folder of its own. */
const first = (cache: string, output: string, ...more: string[]) => [
  ...["env", `XDG_CACHE_HOME=${folder.file(cache)}`],
  ...["bun", "run", "encode.ts", "-o", folder.file(output), ...more],
];
const lines = ({ stderr }: Ended) =>
  stderr
    .split("\n")
    .filter(Boolean)
    .map((line) => line.replace(/^(ℹ|\[info\]) /, ""));
const output = (name: string) => readFileSync(folder.file(name));
const FETCHING =
  "model:vp9: no libvpx on this machine; fetching Debian's libvpx9 (1 MB and the archive's index of 10 MB, once)";
const USING = /^no card found; using the software model \(libvpx 1\.\d+\.\d+\)$/;

test("without libvpx, Debian's is fetched once, in one line, and makes the file that it makes", async () => {
  const fetched = await start(withoutLibvpx(first("cache", "fetched.webm"))).ended();
  expect(fetched.exitCode).toBe(0);
  expect(lines(fetched)).toEqual([FETCHING, expect.stringMatching(USING)]);
  expect(new TextDecoder().decode(fetched.stdout)).toMatch(/^50 frames \(1 key\), \d+ bytes, /);

  const again = await start(withoutLibvpx(first("cache", "again.webm"))).ended();
  expect(lines(again)).toEqual([expect.stringMatching(USING)]);
  expect(output("again.webm").equals(output("fetched.webm"))).toBe(true);

  expect((await encode("--codec", "debian", "-o", folder.file("debian.webm"))).exitCode).toBe(0);
  expect(output("debian.webm").equals(output("fetched.webm"))).toBe(true);
});

test("without libvpx and without a network, libav.js encodes, and one line says why and what it costs", async () => {
  const { exitCode, stdout, ...rest } = await start(withoutNetwork(first("empty", "libav.webm"))).ended();
  expect(exitCode).toBe(0);
  expect(lines({ exitCode, stdout, ...rest })).toEqual([
    expect.stringMatching(
      /^model:vp9: no libvpx on this machine; encoding with libav\.js [\d.]+ in WebAssembly, at a tenth of the speed: Debian's libvpx9: \S+ does not answer \(.+\); apt-get install libvpx7 \(libvpx9 on Debian 13\) is better$/,
    ),
    expect.stringMatching(/^no card found; using the software model \(libav\.js [\d.]+\)$/),
  ]);
  expect(new TextDecoder().decode(stdout)).toMatch(/^50 frames \(1 key\), \d+ bytes, /);
});

/** A mirror of Debian's archive on this machine, whose answers are `change`d. */
function serveArchive(change: (url: URL, answer: () => Promise<Response>) => Promise<Response>) {
  const sources = "/etc/apt/sources.list.d";
  const texts = readdirSync(sources).map((name) => readFileSync(`${sources}/${name}`, "utf8"));
  const mirror = mirrorOf(texts.join("\n")) ?? "https://deb.debian.org/debian";
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 60,
    fetch: (request) => {
      const url = new URL(request.url);
      const path = url.pathname.slice("/debian".length);
      const { method } = request;
      return change(url, async () => {
        const ask = () => fetch(mirror + path, { method, decompress: false });
        const { body, status } = await ask().catch(ask); // a network's moment of weakness is not what is tested
        return new Response(body, { status });
      });
    },
  });
  const own = folder.file(`sources-${server.port}`);
  mkdirSync(own);
  writeFileSync(`${own}/own.list`, `deb http://127.0.0.1:${server.port}/debian trixie main\n`);
  return {
    run: (command: string[]): Running => start(withoutLibvpx(withSources(own, command))),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

test("an archive that takes longer than a device may to answer is waited for", async () => {
  await using archive = serveArchive(async (url, answer) => {
    if (url.pathname.includes("libvpx9_")) await Bun.sleep(8000);
    return answer();
  });
  const slow = await archive.run(first("slow", "slow.webm")).ended();
  expect(lines(slow)).toEqual([FETCHING, expect.stringMatching(USING)]);
  expect(slow.exitCode).toBe(0);
});

test("Ctrl-C ends the wait for it", async () => {
  let asked = 0;
  await using archive = serveArchive(async (_, answer) => {
    if (++asked > 1) await Bun.sleep(5000);
    return answer();
  });
  const running = archive.run(first("interrupted", "interrupted.webm"));
  await until(() => asked > 1, "the archive to be asked");
  running.signalGroup("SIGINT");
  const { exitCode, stderr } = await running.ended();
  expect(stderr).toContain("interrupted");
  expect(exitCode).toBe(130);
});

test("what is not signed by Debian is not taken", async () => {
  await using archive = serveArchive(async (url, answer) => {
    const response = await answer();
    if (!url.pathname.endsWith("InRelease")) return response;
    return new Response((await response.text()).replace("Origin: Debian", "Origin: debian"));
  });
  const { exitCode, stderr, stdout } = await archive
    .run(first("forged", "forged.webm", "--frames", "2"))
    .ended();
  expect(stderr).toMatch(/encoding with libav\.js .*: Debian's libvpx9: .*(signature|signed)/i);
  expect(new TextDecoder().decode(stdout)).toMatch(/^2 frames \(1 key\), /);
  expect(exitCode).toBe(0);
});
