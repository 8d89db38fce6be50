import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { type EncodedChunk, encodeFrames, type RawFrame } from "../../../src/index.ts";
import { failure } from "../../media/rig.ts";
import { until } from "../../scripts/rig.ts";
import { children, config, encodeClip, frames, holdings, record, settled, steady, summary } from "./rig.ts";

setDefaultTimeout(60_000);

const reference = await encodeClip();
const tiny = { width: 16, height: 16, framerate: 100 };
const tinyFrame = new Uint8Array(16 * 16 * 1.5);

async function gather(chunks: AsyncIterable<EncodedChunk>): Promise<EncodedChunk[]> {
  const gathered = [];
  for await (const chunk of chunks) gathered.push(chunk);
  return gathered;
}

describe("encodeFrames", () => {
  test("gives the chunks of an iterable's frames in order, and ends", async () => {
    expect(summary(await gather(encodeFrames({}, config, frames)))).toEqual(reference);
  });

  test("gives them of an async iterable, with key frames where they are asked for", async () => {
    async function* slowly() {
      for (const [index, frame] of frames.entries()) {
        await Bun.sleep(2);
        yield { ...frame, keyFrame: index === 5 };
      }
    }
    const chunks = await gather(encodeFrames({ path: "window", inFlight: 2 }, config, slowly()));
    expect(chunks.map(({ timestamp }) => timestamp)).toEqual(frames.map(({ timestamp }) => timestamp));
    expect(chunks.flatMap(({ type }, index) => (type === "key" ? [index] : []))).toEqual([0, 5]);
  });

  test("gives nothing for no frames", async () => {
    expect(await gather(encodeFrames({}, config, []))).toEqual([]);
  });

  test("holds frames back while their consumer is slower", async () => {
    let produced = 0;
    function* many(): Generator<RawFrame> {
      for (; produced < 400; produced++) yield { data: tinyFrame, timestamp: produced * 10_000 };
    }
    let consumed = 0;
    for await (const _ of encodeFrames({ device: "model:vp9?codec=null", inFlight: 4 }, tiny, many())) {
      if (consumed++ === 0) {
        await until(() => produced >= 64, "64 frames to be taken");
        let before = -1;
        // Until nothing moves any more.
        while (before !== produced) {
          before = produced;
          await Bun.sleep(200);
        }
        // 64 chunks that wait, and those under way.
        expect(produced).toBeWithin(64, 64 + 2 * 4 + 2);
      }
    }
    expect(consumed).toBe(400);
  });

  test("lets go of the device, and closes the frames' iterator, when the consumer leaves early", async () => {
    await gather(encodeFrames({}, config, frames)); // what is loaded once is loaded
    await until(() => children().length === 0, "the model of an earlier test to end");
    const before = await steady(holdings);
    let closed = false;
    function* endless(): Generator<RawFrame> {
      try {
        for (let index = 0; ; index++) yield { data: frames[index % 9]!.data, timestamp: index * 83_334 };
      } finally {
        closed = true;
      }
    }
    for await (const chunk of encodeFrames({}, config, endless())) if (chunk.timestamp > 500_000) break;
    await until(() => children().length === 0, "the model to end");
    await until(() => closed, "the frames' iterator to be closed");
    expect(await settled(holdings, before)).toEqual(before);
  });

  test("passes on what the frames' iterable throws, and lets go of the device", async () => {
    async function* failing() {
      yield frames[0]!;
      throw new Error("the camera is unplugged");
    }
    const error = await failure(() => gather(encodeFrames({}, config, failing())));
    expect(error.message).toBe("the camera is unplugged");
    await until(() => children().length === 0, "the model to end");
  });

  test("tells of a failed device at once, although the next frame is long in coming", async () => {
    async function* stuck() {
      yield* frames.slice(0, 4);
      await new Promise(() => {});
    }
    const chunks: EncodedChunk[] = [];
    const given = { device: "model:vp9?fault=die@4", recover: 0 };
    const error = await failure(async () => {
      for await (const chunk of encodeFrames(given, config, stuck())) chunks.push(chunk);
    });
    expect(error.message).toStartWith("model:vp9?fault=die@4: the server disconnected");
    expect(summary(chunks)).toEqual(reference.slice(0, 3));
  });

  test("passes on what configure refuses", async () => {
    const error = await failure(() => gather(encodeFrames({}, { ...config, speed: 100 }, frames)));
    expect(error.message).toStartWith("model:vp9: the device refused SPEED = 100.");
    await until(() => children().length === 0, "the model to end");
  });
});

test("opening, encoding and closing 30 times leaves descriptors, mappings and children as they were", async () => {
  const cycle = async (index: number) => {
    using recorded = record({ path: index % 3 === 0 ? "window" : "dma" });
    const { encoder, errors } = recorded;
    await encoder.configure(config);
    const encoding = frames.slice(0, 4).map((frame) => encoder.encode(frame));
    if (index % 2 === 0) await encoder.flush();
    else encoder.close();
    await Promise.allSettled(encoding);
    expect(errors).toEqual([]);
  };
  for (let index = 0; index < 4; index++) await cycle(index);
  await until(() => children().length === 0, "the models to end");
  Bun.gc(true);
  const before = holdings();
  for (let index = 0; index < 30; index++) await cycle(index);
  await until(() => children().length === 0, "the models to end");
  Bun.gc(true);
  expect(await settled(holdings, before)).toEqual(before);
});
