import { expect, setDefaultTimeout, test } from "bun:test";
import { encodeWithFaults } from "../../scripts/campaign/fault-run.ts";
import { openModel } from "../../src/exports/model.ts";
import { openEncoder } from "../../src/index.ts";
import vp9 from "../../src/vp9/model/vp9.model.ts";
import { openFds } from "../os/open-fds.ts";
import { workerThreads } from "../os/worker-threads.ts";
import { until } from "../scripts/rig.ts";
import { noise } from "../vp9/model/stream-rig.ts";

setDefaultTimeout(60_000);

const descriptors = () => openFds("self");

test("a model in this process that is closed while its codec works: the thread ends, and leaves no descriptor", async () => {
  const before = descriptors();
  const device = await openModel(vp9, { options: { codec: "libvpx" }, log: () => {} });
  const encoder = openEncoder({ device, output: () => {}, error: () => {} });
  await encoder.configure({ width: 640, height: 360, framerate: 25, speed: 0 });
  encoder.encode({ data: noise((640 * 360 * 3) / 2, 1), timestamp: 0 }).catch(() => {});
  await Bun.sleep(50); // the thread has begun
  const during = { workers: workerThreads(), descriptors: descriptors() };
  encoder.close();
  device[Symbol.dispose]();
  await until(() => workerThreads() < during.workers, "the codec's thread to end");
  await until(() => descriptors() <= before, "its descriptors to be closed");
  expect(during.descriptors).toBeGreaterThan(before);
});

test("a model in this process gives back its codec's memory, and that of the frames that it read", async () => {
  const rss = () => process.memoryUsage().rss / 2 ** 20;
  const round = () =>
    encodeWithFaults({
      ...{
        codec: "libvpx",
        path: "dma",
        inFlight: 4,
        frames: 8,
        keys: [],
        model: "here",
        recover: 1,
        seed: 0,
      },
      faults: [{ kind: "corrupt", at: 3, forMs: 0 }],
    });
  for (let i = 0; i < 10; i++) await round();
  const before = rss();
  for (let i = 0; i < 30; i++) await round();
  // It was 3 MiB a round.
  expect(rss() - before).toBeLessThan(40);
});
