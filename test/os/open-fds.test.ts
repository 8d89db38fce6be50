import { expect, test } from "bun:test";
import { openFiles } from "./open-fds.ts";

test("descriptors are counted while the garbage collector has its own open", async () => {
  await using child = Bun.spawn(
    [process.execPath, "-e", "for (let i = 0; ; i++) { if (i === 50) console.log(); Bun.gc(true); }"],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  await child.stdout.getReader().read();
  const found = new Set(Array.from({ length: 10_000 }, () => openFiles(child.pid).join(" ")));
  expect([...found]).toHaveLength(1);
});
