/** video-encoder.https.any.js, and the short files about one method. */
import { expect } from "bun:test";
import { Encoder, openEncoder } from "../../../../src/index.ts";
import { failure } from "../../../media/rig.ts";
import { until } from "../../../scripts/rig.ts";
import { record } from "../rig.ts";
import { asConfig, createFrame, quiet, type Row, VP9 } from "./row.ts";

const file = "video-encoder.https.any.js";
const defaultConfig = { codec: VP9, width: 640, height: 480 };

async function expectInvalidState(calls: readonly (() => unknown)[]): Promise<void> {
  for (const call of calls) expect((await failure(call)).name).toBe("InvalidStateError");
}

export const rows: readonly Row[] = [
  {
    file,
    test: "Test VideoEncoder construction",
    outcome: "passes",
    why: "openEncoder constructs; `error` may be left out",
    async run() {
      expect(() => openEncoder({} as Parameters<typeof openEncoder>[0])).toThrow(TypeError);
      using encoder = quiet();
      expect(encoder.state).toBe("unconfigured");
      encoder.close();
      await Bun.sleep(0);
    },
  },
  {
    file,
    test: "Test successful configure(), encode(), and flush()",
    outcome: "passes",
    why: "the codec string names the colour, because bytes have none",
    async run() {
      using recorded = record();
      const { encoder, chunks, metadata } = recorded;
      const codec = `${VP9}.01.01.01.01.00`;
      void encoder.configure({ ...defaultConfig, codec, displayWidth: 800, displayHeight: 600 });
      const pair = [createFrame(640, 480, 0, 33_333), createFrame(640, 480, 33_333, 33_333)];
      for (const frame of pair) void encoder.encode(frame);
      await encoder.flush();
      expect(metadata.map(({ decoderConfig }) => decoderConfig !== undefined)).toEqual([true, false]);
      expect(metadata[0]!.decoderConfig).toEqual({
        codec,
        codedWidth: 640,
        codedHeight: 480,
        displayAspectWidth: 800,
        displayAspectHeight: 600,
        colorSpace: { primaries: "bt709", transfer: "bt709", matrix: "bt709", fullRange: false },
      });
      const times = ({ timestamp, duration }: { timestamp: number; duration?: number }) => ({
        timestamp,
        duration,
      });
      expect(chunks.map(times)).toEqual(pair.map(times));
    },
  },
  {
    file,
    test: "encodeQueueSize test",
    outcome: "passes",
    why: "the second round's times follow the first's",
    async run() {
      using recorded = record();
      const { encoder } = recorded;
      expect(encoder.encodeQueueSize).toBe(0);
      void encoder.configure({ codec: VP9, width: 320, height: 200 });
      expect(encoder.encodeQueueSize).toBe(0);
      const many = (from: number) =>
        Array.from({ length: 100 }, (_, i) => createFrame(320, 200, (from + i) * 16_000));
      let last = Number.POSITIVE_INFINITY;
      const wrong: string[] = [];
      encoder.ondequeue = () => {
        if (last === 0) wrong.push("an event after the queue was empty");
        if (last <= encoder.encodeQueueSize)
          wrong.push(`an event at ${encoder.encodeQueueSize} after ${last}`);
        last = encoder.encodeQueueSize;
      };
      for (const frame of many(0)) void encoder.encode(frame);
      expect(encoder.encodeQueueSize).toBeWithin(0, 101);
      await encoder.flush();
      expect([encoder.encodeQueueSize, last, wrong]).toEqual([0, 0, []]);
      last = Number.POSITIVE_INFINITY;
      for (const frame of many(100)) void encoder.encode(frame);
      expect(encoder.encodeQueueSize).toBeWithin(0, 101);
      encoder.reset();
      expect(encoder.encodeQueueSize).toBe(0);
    },
  },
  {
    file,
    test: "Test successful reset() and re-confiugre()",
    outcome: "passes",
    why: "frames have the configured size, because the device does not scale",
    async run() {
      let before = 0;
      let after = 0;
      let done = false;
      using encoder = openEncoder({
        output: ({ timestamp }) => {
          if (timestamp % 2 === 1) after++;
          else if (++before === 3) {
            encoder.reset();
            done = true;
          }
        },
      });
      let timestamp = 0;
      await encoder.configure(defaultConfig);
      await encoder.flush();
      for (let i = 0; i < 30; i++, timestamp += 40_000)
        encoder.encode(createFrame(640, 480, timestamp)).catch(() => {});
      await until(() => done, "reset by the output callback");
      expect([before, encoder.encodeQueueSize]).toEqual([3, 0]);
      void encoder.configure({ ...defaultConfig, width: 800, height: 600 });
      for (let i = 0; i < 5; i++, timestamp += 40_000)
        void encoder.encode(createFrame(800, 600, timestamp + 1));
      await encoder.flush();
      expect([before, after, encoder.encodeQueueSize]).toEqual([3, 5, 0]);
    },
  },
  {
    file,
    test: "Test successful encode() after re-configure().",
    outcome: "differs",
    why: "all but its end: `configure` rejects with the NotSupportedError, `error` is not called, and another config may be tried",
    async run() {
      using recorded = record();
      const { encoder, chunks, errors } = recorded;
      expect(encoder.encodeQueueSize).toBe(0);
      for (const timestamp of [0, 33_333]) {
        void encoder.configure(defaultConfig);
        void encoder.encode(createFrame(640, 480, timestamp));
      }
      await encoder.flush();
      expect(encoder.encodeQueueSize).toBe(0);
      expect(chunks.map(({ timestamp }) => timestamp)).toEqual([0, 33_333]);
      void encoder.encode(createFrame(640, 480, 66_666));
      const configure = (codec: string) => failure(() => encoder.configure({ ...defaultConfig, codec }));
      expect(await configure("")).toBeInstanceOf(TypeError);
      expect((await configure("bogus")).name).toBe("NotSupportedError");
      expect([encoder.state, errors]).toEqual(["configured", []]);
      await encoder.flush();
      expect(chunks).toHaveLength(3);
    },
  },
  {
    file,
    test: "Verify closed VideoEncoder operations",
    outcome: "differs",
    why: "closing twice is harmless; every other call is an InvalidStateError",
    async run() {
      using encoder = quiet();
      encoder.close();
      await expectInvalidState([
        () => encoder.configure(defaultConfig),
        () => encoder.reset(),
        () => encoder.encode(createFrame(640, 480, 0)),
        () => encoder.flush(),
      ]);
      encoder.close();
      expect(encoder.state).toBe("closed");
    },
  },
  {
    file,
    test: "Verify unconfigured VideoEncoder operations",
    outcome: "passes",
    async run() {
      using encoder = quiet();
      encoder.reset();
      expect(encoder.state).toBe("unconfigured");
      await expectInvalidState([() => encoder.encode(createFrame(640, 480, 0)), () => encoder.flush()]);
    },
  },
  {
    file,
    test: "Verify encoding closed frames throws.",
    outcome: "does not apply",
    why: "a frame is bytes, which are not closed",
  },
  {
    file,
    test: "Encode video with negative timestamp",
    outcome: "differs",
    why: "the device counts time from 0: a RangeError",
    async run() {
      using encoder = quiet();
      void encoder.configure(defaultConfig);
      expect(await failure(() => encoder.encode(createFrame(640, 480, -10_000)))).toBeInstanceOf(RangeError);
    },
  },
  {
    file: "video-encoder-flush.https.any.js",
    test: "Test reset during flush",
    outcome: "passes",
    async run() {
      let outputs = 0;
      const first = Promise.withResolvers<void>();
      using encoder = openEncoder({
        output: () => {
          outputs++;
          encoder.reset();
          first.resolve();
        },
        error: first.reject,
      });
      void encoder.configure({ ...defaultConfig, displayWidth: 800, displayHeight: 600 });
      for (const timestamp of [0, 33_333]) void encoder.encode(createFrame(640, 480, timestamp));
      const flushed = failure(() => encoder.flush());
      await first.promise;
      const error = await flushed;
      expect([error instanceof DOMException, error.name]).toEqual([true, "AbortError"]);
      expect(outputs).toBe(1);
    },
  },
  {
    file: "video-encoder-content-hint.https.any.js",
    test: "Test that contentHint is recognized by VideoEncoder",
    outcome: "passes",
    async run() {
      const config = asConfig({
        codec: VP9,
        width: 1280,
        height: 720,
        bitrate: 5_000_000,
        bitrateMode: "constant",
        framerate: 25,
        latencyMode: "realtime",
        contentHint: "text",
      });
      const support = await Encoder.isConfigSupported(config);
      expect(support.supported).toBe(true);
      expect(support.config).toMatchObject({ codec: VP9, contentHint: "text" });
    },
  },
];
