import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { openModel } from "../../src/exports/model.ts";
import { openEncoder } from "../../src/index.ts";
import vp9 from "../../src/vp9/model/vp9.model.ts";
import { openFds } from "../os/open-fds.ts";
import { until } from "../scripts/rig.ts";
import { noise } from "../vp9/model/stream-rig.ts";

setDefaultTimeout(60_000);

const descriptors = () => openFds("self");
/** Bun names the threads of its Workers so. */
const workers = () =>
  readdirSync("/proc/self/task").filter(
    (task) => readFileSync(`/proc/self/task/${task}/comm`, "utf8") === "Worker\n",
  ).length;

test("a model in this process that is closed while its codec works: the thread ends, and leaves no descriptor", async () => {
  const before = descriptors();
  const device = await openModel(vp9, { options: { codec: "libvpx" }, log: () => {} });
  const encoder = openEncoder({ device, output: () => {}, error: () => {} });
  await encoder.configure({ width: 640, height: 360, framerate: 25, speed: 0 });
  encoder.encode({ data: noise((640 * 360 * 3) / 2, 1), timestamp: 0 }).catch(() => {});
  await Bun.sleep(50); // the thread has begun
  const during = { workers: workers(), descriptors: descriptors() };
  encoder.close();
  device[Symbol.dispose]();
  await until(() => workers() < during.workers, "the codec's thread to end");
  await until(() => descriptors() <= before, "its descriptors to be closed");
  expect(during.descriptors).toBeGreaterThan(before);
});
