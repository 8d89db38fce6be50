import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cached } from "../../src/debian/cache.ts";
import { MAX_ERROR_CHARACTERS } from "../../src/debian/limits.ts";
import { run } from "../../src/debian/process.ts";

const folder = mkdtempSync(join(tmpdir(), "vfiokit-debian-"));
const before = process.env.XDG_CACHE_HOME;
beforeAll(() => {
  process.env.XDG_CACHE_HOME = folder;
});
afterAll(() => {
  if (before === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = before;
  rmSync(folder, { recursive: true });
});

test("a program that takes too long is ended, and the error says how long it had", async () => {
  const startMs = performance.now();
  await expect(run(["sleep", "60"], {}, { timeS: 0.2 })).rejects.toThrow(
    "sleep 60 took longer than 0.2 s, and was ended",
  );
  expect(performance.now() - startMs).toBeLessThan(5000);
});

test("a program that writes without an end is ended", async () => {
  await expect(run(["cat", "/dev/zero"], {}, { outputBytes: 2 ** 20 })).rejects.toThrow(
    "cat /dev/zero wrote more than 1048576 bytes, and was ended",
  );
});

test("of a program's errors the end is kept", async () => {
  const script = `i=0; while [ $i -lt 2000 ]; do echo "line $i of a long complaint, which goes on and on" >&2; i=$((i+1)); done; exit 1`;
  const error = await run(["sh", "-c", script]).then(
    () => new Error("it succeeded"),
    (error: Error) => error,
  );
  expect(error.message).toContain("failed with exit code 1");
  expect(error.message).toContain("line 1999 of");
  expect(error.message).not.toContain("line 3 of");
  expect(error.message.length).toBeLessThan(MAX_ERROR_CHARACTERS + 1000);
});

test("a process that waits too long for another one to fetch the same says which lock it waited for", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const making = cached("slow", async (into) => {
    locked.resolve();
    await promise;
    return into;
  });
  await locked.promise;
  const never = () => Promise.reject(new Error("both make it"));
  await expect(cached("slow", never, 1)).rejects.toThrow(
    /^another process held .*\.slow\.lock for 1 s; is it still fetching\?$/,
  );
  resolve();
  await making;
});
