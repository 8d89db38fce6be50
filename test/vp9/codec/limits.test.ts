import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openArchive, reachArchive } from "../../../src/debian/archive.ts";

const folder = mkdtempSync(join(tmpdir(), "vfiokit-archive-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("an archive that does not answer, or that takes too long to fetch, is an error that says which", async () => {
  // No answer comes in so little time. A machine with a proxy for apt does not ask.
  const proxy = /^Acquire::https?::Proxy.* "./m.test(Bun.spawnSync(["apt-config", "dump"]).stdout.toString());
  const asked = reachArchive(1).then(
    () => "answered",
    (error) => String(error),
  );
  expect(await asked).toMatch(proxy ? "answered" : /^Error: \S+ does not answer \(.*\)$/);
  const limit = AbortSignal.timeout(10);
  await Bun.sleep(20);
  await expect(openArchive("amd64", folder, { limit })).rejects.toThrow(
    /apt-get update .* was not started: no time is left/,
  );
});
