/** The folders and sockets of this machine that a guest and a model have while they run. */
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, utimesSync } from "node:fs";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import "../../src/schemes.ts";
import { SCRATCH_LEFT_MS } from "../../src/guest/limits.ts";
import { openScratchFolder } from "../../src/guest/scratch.ts";
import { serveModel } from "../../src/model/hosting/served.ts";
import { listenUnix } from "../../src/os/socket.ts";

const age = (path: string) => {
  const then = (Date.now() - SCRATCH_LEFT_MS - 1000) / 1000;
  utimesSync(path, then, then);
};

test("a folder whose process and its helper were killed is removed by the next guest; one in use stays", async () => {
  const left = mkdtempSync(join(tmpdir(), "vfiokit-guest."));
  mkdirSync(join(left, "locked"), { mode: 0 });
  const young = mkdtempSync(join(tmpdir(), "vfiokit-guest."));
  await using others = await mkdtempDisposable(join(tmpdir(), "vfiokit-guest-test-"));
  await using used = openScratchFolder();
  for (const path of [left, used.path, others.path]) age(path);
  await using _next = openScratchFolder();
  const are = [left, young, others.path, used.path].map((path) => existsSync(path));
  expect(are).toEqual([false, true, true, true]);
  age(young);
  await using _last = openScratchFolder();
  expect(existsSync(young)).toBe(false);
});

test("the socket of a server that was killed with its starter is removed by the next one; one in use stays", async () => {
  const pathOf = (digit: string) => join(tmpdir(), `vfiokit-model-${digit.repeat(16)}.sock`);
  listenUnix(pathOf("0"))[Symbol.dispose](); // as a killed process leaves it
  await using _used = await serveModel("model:vp9?codec=null", { socketPath: pathOf("1"), log: () => {} });
  await using _next = await serveModel("model:vp9?codec=null", { log: () => {} });
  expect(["0", "1"].map((digit) => existsSync(pathOf(digit)))).toEqual([false, true]);
});
