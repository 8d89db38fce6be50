import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { EncoderError, openDevice, openEncoder, type RawFrame, WindowTooSmall } from "../../../src/index.ts";
import { registers } from "../../../src/vp9/contract/registers.ts";
import { failure } from "../../media/rig.ts";
import { until } from "../../scripts/rig.ts";
import { between } from "./between.ts";
import { children, config, encodeClip, frames, record, summary } from "./rig.ts";

setDefaultTimeout(30_000);

const reference = await encodeClip();
/** The clip again, later. */
const second = frames.map((frame) => ({ ...frame, timestamp: frame.timestamp + 750_000 }));

describe("an encoder has the shape of WebCodecs' VideoEncoder:", () => {
  test("configure, encode, flush, close, and its state", async () => {
    using recorded = record();
    const { encoder, chunks, errors } = recorded;
    expect(encoder.state).toBe("unconfigured");
    await encoder.configure(config);
    expect(encoder.state).toBe("configured");
    for (const frame of frames) await encoder.encode(frame);
    await encoder.flush();
    expect(encoder.encodeQueueSize).toBe(0);
    expect(chunks).toHaveLength(frames.length);
    for (const [index, { type, timestamp, duration, data }] of chunks.entries()) {
      expect({ type, timestamp, duration }).toEqual({
        type: index === 0 ? "key" : "delta",
        timestamp: frames[index]!.timestamp,
        duration: frames[index]!.duration,
      });
      expect(data).toBeInstanceOf(Uint8Array);
      expect(data.byteLength).toBeGreaterThan(0);
    }
    encoder.close();
    encoder.close();
    expect(encoder.state).toBe("closed");
    expect(errors).toEqual([]);
  });

  test("encodeQueueSize counts the frames that the device does not have yet", async () => {
    using recorded = record({ inFlight: 2 });
    const { encoder } = recorded;
    await encoder.configure(config);
    const encoding = frames.map((frame) => encoder.encode(frame));
    expect(encoder.encodeQueueSize).toBe(frames.length);
    await encoding[3];
    expect(encoder.encodeQueueSize).toBe(frames.length - 4);
    await Promise.all(encoding);
    expect(encoder.encodeQueueSize).toBe(0);
  });

  test("calls need not be awaited: configure, frames, another configure, frames and a flush", async () => {
    using recorded = record();
    const { encoder, chunks } = recorded;
    const data = frames[0]!.data.subarray(0, (160 * 96 * 3) / 2);
    void encoder.configure(config);
    expect(encoder.state).toBe("configured");
    for (const frame of frames) void encoder.encode(frame);
    void encoder.configure({ ...config, width: 160, height: 96 });
    void encoder.encode({ data, timestamp: 0 });
    await encoder.flush();
    expect(summary(chunks.slice(0, 9))).toEqual(reference);
    expect(chunks.slice(9)).toMatchObject([{ type: "key", timestamp: 0 }]);
  });

  test("frames and a flush behind a configure that the device refuses get its reason", async () => {
    using recorded = record();
    const { encoder, chunks, errors } = recorded;
    const refused = "model:vp9: the device refused SPEED = 10.";
    const configuring = failure(() => encoder.configure({ ...config, speed: 10 }));
    const encoding = failure(() => encoder.encode(frames[0]!));
    const flushing = failure(() => encoder.flush());
    void encoder.configure(config);
    for (const frame of frames) void encoder.encode(frame);
    for (const told of [configuring, encoding, flushing]) expect((await told).message).toStartWith(refused);
    expect(encoder.state).toBe("configured");
    await encoder.flush();
    expect([summary(chunks), errors, encoder.encodeQueueSize]).toEqual([reference, [], 0]);
  });

  test("a frame says when it is to be a key frame", async () => {
    using recorded = record();
    const { encoder, chunks } = recorded;
    await encoder.configure(config);
    for (const [index, frame] of frames.entries()) await encoder.encode(frame, { keyFrame: index === 4 });
    await encoder.flush();
    expect(chunks.map(({ type }) => type === "key")).toEqual(
      frames.map((_, index) => index === 0 || index === 4),
    );
  });

  test("a frame without a duration lasts one frame at the configured rate", async () => {
    using recorded = record();
    await recorded.encoder.configure({ ...config, framerate: 25 });
    await recorded.encoder.encode({ data: frames[0]!.data, timestamp: 5000 });
    await recorded.encoder.flush();
    expect(recorded.chunks).toMatchObject([{ timestamp: 5000, duration: 40_000 }]);
  });

  test("flush may be called twice at once, and when there is nothing, and frames may follow it", async () => {
    using recorded = record();
    const { encoder, chunks } = recorded;
    await encoder.configure(config);
    await encoder.flush();
    for (const frame of frames) await encoder.encode(frame);
    await Promise.all([encoder.flush(), encoder.flush()]);
    expect(summary(chunks)).toEqual(reference);
    for (const frame of second) await encoder.encode(frame);
    await encoder.flush();
    expect(chunks.slice(9).map(({ type, timestamp }) => ({ type, timestamp }))).toEqual(
      second.map(({ timestamp }) => ({ type: "delta", timestamp })),
    );
  });

  test("configure in the middle flushes and begins a new stream of another size", async () => {
    using recorded = record();
    const { encoder, chunks } = recorded;
    await encoder.configure(config);
    const encoding = frames.map((frame) => encoder.encode(frame));
    const small = { ...config, width: 160, height: 96 };
    const configuring = encoder.configure(small);
    await expect(encoder.encode(frames[0]!)).rejects.toThrow(
      "a frame of 92160 bytes; the configured size needs 23040",
    );
    await Promise.all([...encoding, configuring]);
    expect(summary(chunks)).toEqual(reference);
    const data = frames[0]!.data.subarray(0, (160 * 96 * 3) / 2);
    await encoder.encode({ data, timestamp: 0 });
    await encoder.flush();
    expect(chunks.at(-1)).toMatchObject({ type: "key", timestamp: 0 });
    expect(chunks).toHaveLength(frames.length + 1);
    await expect(encoder.encode({ ...frames[0]!, timestamp: 1e6 })).rejects.toThrow(
      "a frame of 92160 bytes; the configured size needs 23040",
    );
    await encoder.configure(config);
    for (const frame of frames) await encoder.encode(frame);
    await encoder.flush();
    expect(summary(chunks.slice(10))).toEqual(reference);
  });
});

describe("frames are encoded in the order of the calls", () => {
  for (const inFlight of [1, 2, 8]) {
    test(`when nobody awaits them, with ${inFlight} in flight, and a flush after them waits for all`, async () => {
      using recorded = record({ inFlight });
      const { encoder, chunks } = recorded;
      await encoder.configure(config);
      const encoding = frames.map((frame) => encoder.encode(frame));
      await encoder.flush();
      expect(summary(chunks)).toEqual(reference);
      await Promise.all(encoding);
    });
  }

  test("when acquired and copied ones are mixed", async () => {
    using recorded = record({ inFlight: 4 });
    const { encoder, chunks } = recorded;
    await encoder.configure(config);
    for (let index = 0; index < frames.length; index += 3) {
      const [first, acquired, last] = frames.slice(index, index + 3) as [RawFrame, RawFrame, RawFrame];
      const buffer = await encoder.acquireFrame();
      buffer.data.set(acquired.data as Uint8Array);
      await Promise.all([
        encoder.encode(first),
        encoder.encode({ ...acquired, data: buffer }),
        encoder.encode(last),
        encoder.flush(),
      ]);
    }
    expect(summary(chunks)).toEqual(reference);
  });

  test("and a frame's data may be overwritten as soon as its promise is resolved", async () => {
    using recorded = record({ inFlight: 8 });
    const { encoder, chunks } = recorded;
    await encoder.configure(config);
    const data = new Uint8Array(frames[0]!.data.byteLength);
    for (const frame of frames) {
      data.set(frame.data);
      await encoder.encode({ ...frame, data });
      data.fill(0);
    }
    await encoder.flush();
    expect(summary(chunks)).toEqual(reference);
  });
});

describe("acquired frames", () => {
  for (const path of ["dma", "window"] as const) {
    test(`give the same bytes on the ${path} path as copied ones`, async () => {
      expect(await encodeClip({ path })).toEqual(reference);
      using recorded = record({ path, inFlight: 2 });
      const { encoder, chunks } = recorded;
      await encoder.configure(config);
      for (const frame of frames) {
        const buffer = await encoder.acquireFrame();
        buffer.data.set(frame.data);
        await encoder.encode({ ...frame, data: buffer });
      }
      await encoder.flush();
      expect(summary(chunks)).toEqual(reference);
    });
  }

  test("are as many as may be in flight; one more waits for a frame to be done", async () => {
    using recorded = record({ inFlight: 2 });
    const { encoder } = recorded;
    await encoder.configure(config);
    const [a] = [await encoder.acquireFrame(), await encoder.acquireFrame()];
    let third = false;
    const waiting = encoder.acquireFrame().then(() => {
      third = true;
    });
    await Bun.sleep(50);
    expect(third).toBe(false);
    await encoder.encode({ ...frames[0]!, data: a });
    await waiting;
  });

  test("can be encoded once, and not after the encoder was configured anew", async () => {
    using recorded = record();
    const { encoder } = recorded;
    await encoder.configure(config);
    const [a, b] = [await encoder.acquireFrame(), await encoder.acquireFrame()];
    await encoder.encode({ data: a, timestamp: 0 });
    const again = "this frame's memory was already given to encode; acquire another";
    await expect(encoder.encode({ data: a, timestamp: 1e6 })).rejects.toThrow(again);
    await expect(encoder.encode({ data: b.data, timestamp: 1e6 })).rejects.toThrow(
      "these bytes belong to a FrameBuffer; give encode the buffer itself",
    );
    await encoder.configure(config);
    await expect(encoder.encode({ data: b, timestamp: 0 })).rejects.toThrow(again);
    expect(encoder.state).toBe("configured");
  });
});

describe("what can't be encoded is refused, and the encoder goes on:", () => {
  const [first] = frames as [RawFrame];
  test.each<[string, RawFrame, RegExp]>([
    [
      "a frame of the wrong size",
      { ...first, data: new Uint8Array(5) },
      /^a frame of 5 bytes; the configured size needs 92160$/,
    ],
    [
      "a time that does not rise",
      { ...first, timestamp: 0.9 },
      /^timestamp 0.9 is not at least one tick \(1\/1000 s\) after the previous frame's$/,
    ],
    [
      "a time before 0",
      { ...first, timestamp: -1 },
      /^a frame at -1 for 83333: both are microseconds, 0 or more, and together below 2\^53$/,
    ],
    ["a time that is none", { ...first, timestamp: Number.NaN }, /^a frame at NaN for/],
    [
      "a duration beyond the device's counter",
      { ...first, timestamp: 1e6, duration: 1e13 },
      /^duration 10000000000000 is 10000000000 ticks/,
    ],
  ])("%s", async (_, frame, message) => {
    using recorded = record({ inFlight: 1 });
    const { encoder, chunks, errors } = recorded;
    await encoder.configure(config);
    await encoder.encode(frames[0]!);
    const error = await failure(() => encoder.encode(frame));
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toMatch(message);
    for (const next of frames.slice(1)) await encoder.encode(next);
    await encoder.flush();
    expect(summary(chunks)).toEqual(reference);
    expect(errors).toEqual([]);
  });

  test("calls before configure and after close say so", async () => {
    using recorded = record();
    const { encoder } = recorded;
    const calls = [() => encoder.encode(frames[0]!), () => encoder.flush(), () => encoder.acquireFrame()];
    for (const call of calls)
      await expect(call()).rejects.toThrow("the encoder is unconfigured, not configured");
    encoder.close();
    for (const call of [...calls, () => encoder.configure(config)])
      await expect(call()).rejects.toThrow("the encoder is closed, not");
  });
});

describe("settings that the device refuses name their register, and others may be tried:", () => {
  test.each<[Partial<typeof config>, RegExp]>([
    [{ width: 20_000 }, /^model:vp9: the device refused CODED_SIZE = 20000x192\. CODED_SIZE: /],
    [{ cqLevel: 64, bitrateMode: "quantizer" }, /^model:vp9: the device refused CQ_LEVEL = 64\. CQ_LEVEL: /],
    [{ bitrate: 0 }, /^model:vp9: the device refused BITRATE = 0\. BITRATE: /],
    [{ bitrate: 2e9 }, /^model:vp9: the device refused BITRATE = 2000000\. /],
    [{ gop: 1_000_001 }, /^model:vp9: the device refused GOP = 1000001\. /],
    [{ speed: 10 }, /^model:vp9: the device refused SPEED = 10\. /],
    [{ speed: -10 }, /^model:vp9: the device refused SPEED = -10\. /],
    [{ threads: 65 }, /^model:vp9: the device refused THREADS = 65\. /],
    [{ framerate: { num: 2e9, den: 1 } }, /^model:vp9: the device refused FPS_NUM = 2000000000\. /],
    [{ timebase: { num: 1, den: 2e9 } }, /^model:vp9: the device refused TIMEBASE_DEN = 2000000000\. /],
  ])("%j", async (wrong, message) => {
    using recorded = record();
    const { encoder, chunks, errors } = recorded;
    const error = await failure(() => encoder.configure({ ...config, ...wrong }));
    expect(error).toBeInstanceOf(EncoderError);
    expect(error.message).toMatch(message);
    expect(encoder.state).toBe("unconfigured");
    await encoder.configure(config);
    for (const frame of frames) await encoder.encode(frame);
    await encoder.flush();
    expect(summary(chunks)).toEqual(reference);
    expect(errors).toEqual([]);
  });

  test.each<[Partial<typeof config>, RegExp]>([
    [{ framerate: 0 }, /^framerate is 0\/1; both must be whole numbers from 1 to 4294967294$/],
    [{ framerate: { num: 2 ** 32 + 30, den: 1 } }, /^framerate is 4294967326\/1; /],
    [{ timebase: { num: 1, den: 0 } }, /^timebase is 1\/0; /],
    [{ speed: 264 }, /^speed is 264; it must be a whole number from -128 to 127$/],
    [{ threads: 0 }, /^threads is 0; /],
  ])("%j is refused before the device is asked", async (wrong, message) => {
    using recorded = record();
    const error = await failure(() => recorded.encoder.configure({ ...config, ...wrong }));
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toMatch(message);
  });

  test("what only the codec refuses", async () => {
    // No engine here refuses what the endpoint takes: the registers say so in its place.
    let refuses = true;
    using device = openDevice("model:vp9");
    const { STATUS, ERROR } = registers;
    const failed: Record<number, number> = {
      [STATUS.offset]: STATUS.fields.STATE.values.FAILED,
      [ERROR.offset]: ERROR.fields.CODE.values.CODEC_REFUSED,
    };
    const refusing = between(device, ({ index, read32 }) => ({
      read32: (offset) => (refuses && index === 0 ? failed[offset] : undefined) ?? read32(offset),
    }));
    using recorded = record({ device: refusing });
    await expect(recorded.encoder.configure(config)).rejects.toThrow(
      "model:vp9: the stream failed with CODEC_REFUSED: its codec refused these settings",
    );
    refuses = false;
    await recorded.encoder.configure(config);
  });

  test("frames too large for the window", async () => {
    using recorded = record({ path: "window" });
    const error = await failure(() => recorded.encoder.configure({ ...config, width: 3840, height: 2160 }));
    expect(error).toBeInstanceOf(WindowTooSmall);
    expect(error.message).toBe(
      "a frame of 12441600 bytes and its packet do not fit the device's window of 8388608 bytes; use the DMA path, or smaller frames",
    );
  });
});

test("words that WebCodecs or the command line have, but the library has not, are refused by name", async () => {
  using recorded = record();
  const wrong = { ...config, format: "NV12" as "nv12" };
  expect((await failure(() => recorded.encoder.configure(wrong))).message).toBe(
    'format is "NV12"; it must be one of i420, nv12, i422, i440, i444, i420p10, i422p10, i440p10, i444p10, i420p12, i422p12, i440p12, i444p12',
  );
  const mode = { ...config, bitrateMode: "cbr" as "constant" };
  expect((await failure(() => recorded.encoder.configure(mode))).message).toContain('bitrateMode is "cbr"');
  expect(() => openEncoder({ path: "windw" as "window", output: () => {} })).toThrow('path is "windw"');
  // @ts-expect-error what nobody takes can't be given
  expect(() => openEncoder({})).toThrow("openEncoder needs output");
});

describe("closing in the middle", () => {
  test("of configuring ends that with the reason, and at once", async () => {
    using device = openDevice("model:vp9");
    using recorded = record({ device });
    const configuring = failure(() => recorded.encoder.configure(config));
    await Promise.resolve();
    recorded.encoder.close();
    expect((await configuring).message).toBe("the encoder was closed");
    expect(recorded.errors).toEqual([]);
  });

  test("rejects what waits, gives no chunk afterwards, and is no error", async () => {
    using recorded = record({ inFlight: 2 });
    const { encoder, chunks, errors } = recorded;
    await encoder.configure(config);
    const waiting = [
      ...frames.map((frame) => encoder.encode(frame)),
      encoder.flush(),
      encoder.acquireFrame(),
    ];
    await waiting[0];
    encoder.close();
    const before = chunks.length;
    const outcomes = await Promise.allSettled(waiting);
    expect(outcomes.slice(3).map(({ status }) => status)).toEqual(waiting.slice(3).map(() => "rejected"));
    for (const outcome of outcomes)
      if (outcome.status === "rejected")
        expect(outcome.reason.message).toMatch(/^the encoder (was|is) closed/);
    await Bun.sleep(50);
    expect(chunks).toHaveLength(before);
    expect(errors).toEqual([]);
  });

  test("from inside the output callback is allowed", async () => {
    let chunks = 0;
    const errors: Error[] = [];
    using encoder = openEncoder({
      output: () => {
        chunks++;
        encoder.close();
      },
      error: (error) => errors.push(error),
    });
    await encoder.configure(config);
    await Promise.allSettled(frames.map((frame) => encoder.encode(frame)));
    await until(() => encoder.state === "closed", "the encoder to close");
    expect(chunks).toBe(1);
    expect(errors).toEqual([]);
  });

  test("leaves a device that the caller opened to the caller", async () => {
    using device = openDevice("model:vp9");
    for (let round = 0; round < 2; round++) expect(await encodeClip({ device })).toEqual(reference);
    expect(device.config.read16(0)).toBe(0x10ee);
  });
});

describe("a device that fails", () => {
  test("by losing an interrupt costs no frame, and is counted", async () => {
    // Several: on a busy machine a frame may be complete before it is waited for, and then no interrupt is missed.
    using recorded = record({ device: "model:vp9?fault=drop-interrupt@3=60000", inFlight: 1 });
    const { encoder, chunks } = recorded;
    await encoder.configure(config);
    for (const frame of frames) await encoder.encode(frame);
    await encoder.flush();
    expect(summary(chunks)).toEqual(reference);
    expect(encoder.statistics.missedInterrupts).toBeGreaterThanOrEqual(1);
  });

  test("by stalling for less than the time limit costs no frame", async () => {
    expect(await encodeClip({ device: "model:vp9?fault=stall@3=300", timeoutMs: 2000 })).toEqual(reference);
  });

  const faults = [
    [
      "wedge",
      /^model:vp9\?fault=wedge@4: waited 700 ms for a completion of slot \d(, slot \d)*; the device is RUNNING, has taken \d of \d submissions and completed 3: it hangs, or its codec is slower than this limit$/,
    ],
    ["ones", /^model:vp9\?fault=ones@4: STATUS reads as all ones: the device has gone away$/],
    [
      "corrupt",
      /^model:vp9\?fault=corrupt@4: completion 4 (names tag 0xfffffff[\da-f], which is not in flight|is for the flush, but slot \d is next): the device or its memory is corrupt$/,
    ],
    [
      "die",
      /^model:vp9\?fault=die@4: the server disconnected \(REGION_(READ|WRITE): the peer closed the connection( \(E[A-Z]+\))?\); restart it and reopen the device$/,
    ],
  ] as const;
  for (const path of ["dma", "window"] as const) {
    test.each(faults)(
      `%s on the ${path} path: told once, to all who wait; the frames before are out`,
      async (fault, message) => {
        using recorded = record({ device: `model:vp9?fault=${fault}@4`, timeoutMs: 700, inFlight: 2, path });
        const { encoder, chunks, errors } = recorded;
        await encoder.configure(config);
        const waiting = [
          ...frames.map((frame) => encoder.encode(frame)),
          encoder.flush(),
          encoder.acquireFrame(),
        ];
        const outcomes = await Promise.allSettled(waiting);
        expect(errors).toHaveLength(1);
        expect(errors[0]!.message).toMatch(message);
        const rejected = outcomes.filter((outcome) => outcome.status === "rejected");
        // Of nine frames five got a slot at most; the flush and the acquired frame came after them.
        expect(rejected.length).toBeGreaterThanOrEqual(6);
        for (const { reason } of rejected) expect(reason).toBe(errors[0]);
        expect(outcomes.slice(-2).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
        expect(encoder.state).toBe("closed");
        expect(summary(chunks)).toEqual(reference.slice(0, 3));
        await expect(encoder.encode(frames[0]!)).rejects.toBe(errors[0]!);
        await expect(encoder.flush()).rejects.toBe(errors[0]!);
      },
    );
  }

  test("a failure leaves the device and its memory held, and close gives them back", async () => {
    await until(() => children().length === 0, "the model of an earlier test to end");
    using recorded = record({ device: "model:vp9?fault=corrupt@1" });
    const { encoder, errors } = recorded;
    await encoder.configure(config);
    const buffer = await encoder.acquireFrame();
    await encoder.encode({ data: buffer, timestamp: 0 });
    await expect(encoder.flush()).rejects.toThrow("the device or its memory is corrupt");
    expect([encoder.state, errors.length]).toEqual(["closed", 1]);
    buffer.data.fill(1); // memory that is still there
    await Bun.sleep(100);
    expect(children().length).toBe(1);
    encoder.close();
    await until(() => children().length === 0, "the model to end");
  });

  test("a frame whose packet does not fit its place fails with both sizes", async () => {
    // Noise at the best quality is larger than what the window has left for packets.
    using recorded = record({ path: "window", inFlight: 2 });
    const { encoder, errors } = recorded;
    await encoder.configure({
      ...config,
      width: 1920,
      height: 1080,
      bitrateMode: "quantizer",
      cqLevel: 0,
      bitrate: 1e9,
    });
    const buffer = await encoder.acquireFrame();
    const { data } = buffer;
    for (let at = 0; at < data.length; at += 65_536) crypto.getRandomValues(data.subarray(at, at + 65_536));
    await encoder.encode({ data: buffer, timestamp: 0 });
    await expect(encoder.flush()).rejects.toThrow(
      /^model:vp9: frame 1 of the stream failed: its packet of \d+ bytes does not fit its buffer of \d+ bytes; lower the bitrate, or use the DMA path$/,
    );
    expect(errors).toHaveLength(1);
  });

  test("what the output callback throws ends the encoder and is told like any error", async () => {
    const errors: Error[] = [];
    using encoder = openEncoder({
      output: () => {
        throw new Error("the disk is full");
      },
      error: (error) => errors.push(error),
    });
    await encoder.configure(config);
    await encoder.encode(frames[0]!);
    await expect(encoder.flush()).rejects.toThrow("the disk is full");
    expect(errors.map(({ message }) => message)).toEqual(["the disk is full"]);
  });
});

test.each([
  [
    "nonsense",
    /^"nonsense" is not a device that can be opened; use an address such as 0000:00:09.0, vfio-user:/,
  ],
  [
    "vfio-user:/nope",
    /^vfio-user:\/nope: connect to \/nope: ENOENT: no such socket; start the server first$/,
  ],
  ["model:vp8", /^model:vp8: unknown model "vp8"; known: model:vp9/],
])("openEncoder on %s says what can be opened", (device, message) => {
  expect(() => openEncoder({ device, output: () => {} })).toThrow(message);
});
