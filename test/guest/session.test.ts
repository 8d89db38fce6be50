/** A session whose QEMU is not there. */
import { expect, test } from "bun:test";
import { openSession } from "../../src/guest/session.ts";
import { tempFolder } from "../media/rig.ts";

test("a command whose guest ends while it connects is cut, and does not fail of the connection", async () => {
  using folder = tempFolder();
  const session = openSession(folder.file(""), 0, () => {});
  const job = { command: ["true"], folder: "/", user: undefined, columns: 0 };
  const streams = { input: undefined, onStdout: () => {}, onStderr: () => {}, onStart: () => {} };
  const ended = Bun.sleep(50).then(() => session.onFree());
  expect(await session.run(job, streams, ended)).toBeUndefined();
});
