/** reset, and the "dequeue" event. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { openDevice } from "../../../src/index.ts";
import { failure } from "../../media/rig.ts";
import { until } from "../../scripts/rig.ts";
import { children, config, encodeClip, frames, record, summary } from "./rig.ts";

setDefaultTimeout(60_000);

const reference = await encodeClip();
const later = frames.map((frame) => ({ ...frame, timestamp: frame.timestamp + 750_000 }));

/** Names and messages of what calls rejected with; undefined for those that did not. */
async function reasons(calls: readonly Promise<unknown>[]): Promise<(string | undefined)[]> {
  const outcomes = await Promise.allSettled(calls);
  return outcomes.map((outcome) =>
    outcome.status === "rejected" ? `${outcome.reason.name}: ${outcome.reason.message}` : undefined,
  );
}

describe("reset", () => {
  for (const path of ["dma", "window"] as const) {
    test(`drops what is under way on the ${path} path, and configure begins again`, async () => {
      using recorded = record({ path, inFlight: 2 });
      const { encoder, chunks, metadata, errors } = recorded;
      await encoder.configure(config);
      const waiting = [
        ...frames.map((frame) => encoder.encode(frame)),
        encoder.flush(),
        encoder.configure({ ...config, speed: 7 }),
        encoder.acquireFrame(),
      ];
      await until(() => chunks.length > 0, "a chunk");
      encoder.reset();
      expect([encoder.state, encoder.encodeQueueSize]).toEqual(["unconfigured", 0]);
      const before = chunks.length;
      const told = await reasons(waiting);
      expect(told.slice(-4)).toEqual(Array(4).fill("AbortError: the encoder was reset"));
      void encoder.configure(config);
      for (const frame of later) void encoder.encode(frame);
      await encoder.flush();
      expect(chunks.slice(before).map(({ timestamp }) => timestamp)).toEqual(
        later.map(({ timestamp }) => timestamp),
      );
      expect(chunks[before]!.type).toBe("key");
      expect(metadata[before]!.decoderConfig).toMatchObject({ codedWidth: 320 });
      expect(errors).toEqual([]);
    });
  }

  test("gives the same bytes afterwards as a new encoder", async () => {
    using recorded = record();
    const { encoder, chunks, errors } = recorded;
    for (let round = 0; round < 3; round++) {
      void encoder.configure(config);
      for (const frame of later) void encoder.encode(frame);
      if (round === 1) await until(() => chunks.length > 0, "a chunk");
      encoder.reset();
      // Longer than the driver waits before it looks at a device that says nothing.
      if (round === 1) await Bun.sleep(150);
    }
    expect(errors).toEqual([]);
    chunks.length = 0;
    void encoder.configure(config);
    for (const frame of frames) void encoder.encode(frame);
    await encoder.flush();
    expect(summary(chunks)).toEqual(reference);
  });

  test("from inside the output callback is allowed, and no chunk follows", async () => {
    using recorded = record({ inFlight: 4 });
    const { encoder, chunks, errors } = recorded;
    void encoder.configure(config);
    const push = chunks.push.bind(chunks);
    chunks.push = (...more) => {
      push(...more);
      if (chunks.length === 3) encoder.reset();
      return chunks.length;
    };
    const waiting = [...frames.map((frame) => encoder.encode(frame)), encoder.flush()];
    expect((await reasons(waiting)).at(-1)).toBe("AbortError: the encoder was reset");
    await Bun.sleep(50);
    expect([chunks.length, encoder.state, errors]).toEqual([3, "unconfigured", []]);
  });

  test("without anything under way does nothing, invalidates buffers, and after close is refused", async () => {
    using recorded = record();
    const { encoder } = recorded;
    encoder.reset();
    expect(encoder.state).toBe("unconfigured");
    await encoder.configure(config);
    const buffer = await encoder.acquireFrame();
    encoder.reset();
    encoder.reset();
    expect((await reasons([encoder.encode(frames[0]!)]))[0]).toBe(
      "InvalidStateError: the encoder is unconfigured, not configured",
    );
    await encoder.configure(config);
    await expect(encoder.encode({ data: buffer, timestamp: 0 })).rejects.toThrow("already given to encode");
    encoder.close();
    expect(() => encoder.reset()).toThrow("the encoder is closed, not unconfigured or configured");
  });

  test("of an encoder that failed throws what ended it", async () => {
    using recorded = record({ device: "model:vp9?fault=corrupt@1" });
    const { encoder, errors } = recorded;
    void encoder.configure(config);
    void encoder.encode(frames[0]!);
    const ended = await failure(() => encoder.flush());
    expect(() => encoder.reset()).toThrow(ended);
    expect(errors).toEqual([ended]);
  });

  test("of a device that has gone away is told like any failure", async () => {
    await until(() => children().length === 0, "the models of earlier tests to end");
    using recorded = record({ device: "model:vp9?codec=null" });
    const { encoder, errors } = recorded;
    await encoder.configure(config);
    for (const pid of children()) process.kill(pid, "SIGKILL");
    await until(() => children().length === 0, "the model to be gone");
    encoder.reset();
    expect([encoder.state, errors.length]).toEqual(["closed", 1]);
    expect(errors[0]!.message).toContain("the server disconnected");
  });

  test("and close say so to nobody who does not ask: promises that are not awaited end no program", async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on("unhandledRejection", note);
    try {
      using device = openDevice("model:vp9");
      for (const end of ["reset", "close"] as const) {
        using recorded = record({ device, inFlight: 1 });
        void recorded.encoder.configure(config);
        for (const frame of frames) void recorded.encoder.encode(frame);
        recorded.encoder[end]();
        await Bun.sleep(20);
      }
      using failing = record({ device: "model:vp9?fault=die@3" });
      void failing.encoder.configure(config);
      for (const frame of frames) void failing.encoder.encode(frame);
      await until(() => failing.errors.length > 0, "the failure");
      await Bun.sleep(20);
      expect(unhandled).toEqual([]);
    } finally {
      process.off("unhandledRejection", note);
    }
  });
});

describe("the dequeue event", () => {
  test("comes after encodeQueueSize went down, once for all that happens in a turn", async () => {
    using recorded = record({ inFlight: 8 });
    const { encoder } = recorded;
    const sizes: number[] = [];
    const types: string[] = [];
    encoder.ondequeue = ({ type }) => void types.push(type);
    encoder.addEventListener("dequeue", () => sizes.push(encoder.encodeQueueSize));
    await encoder.configure(config);
    for (const frame of frames) void encoder.encode(frame);
    await encoder.flush();
    expect(sizes.length).toBeGreaterThan(0);
    // The first eight had their slots at once.
    expect(sizes.length).toBeLessThanOrEqual(2);
    expect(sizes.at(-1)).toBe(0);
    expect(types).toEqual(sizes.map(() => "dequeue"));
  });

  test("comes after a reset that dropped frames, and after none that did not", async () => {
    using recorded = record({ inFlight: 1 });
    const { encoder } = recorded;
    let events = 0;
    const count = () => void events++;
    encoder.addEventListener("dequeue", count);
    encoder.reset();
    await encoder.configure(config);
    await Bun.sleep(5);
    expect(events).toBe(0);
    for (const frame of frames) void encoder.encode(frame);
    encoder.reset();
    expect(events).toBe(0);
    await Bun.sleep(5);
    expect(events).toBe(1);
    encoder.removeEventListener("dequeue", count);
    await encoder.configure(config);
    void encoder.encode(frames[0]!);
    await encoder.flush();
    expect(events).toBe(1);
  });

  test("is enough to hold frames back by", async () => {
    using recorded = record({ inFlight: 2 });
    const { encoder, chunks } = recorded;
    void encoder.configure(config);
    let most = 0;
    for (const frame of frames) {
      while (encoder.encodeQueueSize >= 2)
        await new Promise((resolve) => encoder.addEventListener("dequeue", resolve, { once: true }));
      void encoder.encode(frame);
      most = Math.max(most, encoder.encodeQueueSize);
    }
    await encoder.flush();
    expect(most).toBe(2);
    expect(summary(chunks)).toEqual(reference);
  });
});
