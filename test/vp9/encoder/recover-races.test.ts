/** What happens beside a recovery: calls of the encoder, callbacks that throw, requests of the kernel. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeviceError, type EncodedChunk, openDevice, openEncoder } from "../../../src/index.ts";
import { serveModel } from "../../../src/model/hosting/served.ts";
import { openModel } from "../../../src/model/in-process.ts";
import vp9 from "../../../src/vp9/model/vp9.model.ts";
import { between } from "./between.ts";
import { config, frames } from "./rig.ts";

setDefaultTimeout(60_000);

const timesOf = (chunks: readonly EncodedChunk[]) => chunks.map(({ timestamp }) => timestamp);
const times = frames.map(({ timestamp }) => timestamp);

test("a frame that can't be copied to the window is encoded again", async () => {
  using opened = openDevice("model:vp9?codec=null");
  let copies = 0;
  const device = between(opened, ({ index, copyIn }) => ({
    copyIn: (offset, from) => {
      if (index === 1 && ++copies === 5) throw new DeviceError("gone for a moment");
      copyIn(offset, from);
    },
  }));
  const chunks: EncodedChunk[] = [];
  using encoder = openEncoder({ device, path: "window", output: (chunk) => void chunks.push(chunk) });
  await encoder.configure(config);
  for (const frame of frames) await encoder.encode(frame);
  await encoder.flush();
  expect(timesOf(chunks)).toEqual(times);
  expect(encoder.statistics.recoveries).toEqual(["gone for a moment"]);
});

test("what the output callback throws of frames that were completed before a failure ends the encoder", async () => {
  const errors: Error[] = [];
  const seen: number[] = [];
  using encoder = openEncoder({
    ...{ device: "model:vp9?codec=null&fault=wedge@4", inFlight: 4, timeoutMs: 500 },
    output: ({ timestamp }) => {
      seen.push(timestamp);
      if (seen.length === 3) throw new Error("the disk is full");
    },
    error: (error) => void errors.push(error),
  });
  await encoder.configure(config);
  const encoding = Promise.allSettled(frames.slice(0, 4).map((frame) => encoder.encode(frame)));
  // The completions are there before the event loop looks again, and the failure with them.
  await encoding;
  await encoder.flush().catch(() => {});
  expect(errors.map(({ message }) => message)).toEqual(["the disk is full"]);
  expect(seen).toEqual(times.slice(0, 3));
});

test("after a reset during the search for a device the next configure waits for it", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "vfiokit-recover-"));
  const socketPath = join(folder.path, "vp9.sock");
  const log = () => {};
  const first = await serveModel("model:vp9?codec=null", { socketPath, log });
  const chunks: EncodedChunk[] = [];
  using encoder = openEncoder({
    device: `vfio-user:${socketPath}`,
    output: (chunk) => void chunks.push(chunk),
  });
  await encoder.configure(config);
  await first[Symbol.asyncDispose]();
  encoder.encode(frames[0]!).catch(() => {});
  await Bun.sleep(200);
  encoder.reset();
  const configured = encoder.configure(config);
  await Bun.sleep(100);
  await using _second = await serveModel("model:vp9?codec=null", { socketPath, log });
  await configured;
  for (const frame of frames) await encoder.encode(frame);
  await encoder.flush();
  expect(timesOf(chunks)).toEqual(times);
  expect(encoder.statistics.recoveries).toEqual([]);
});

test("calls that wait for a device which is not found hear of its loss, and touch nothing of it", async () => {
  for (const path of ["dma", "window"] as const) {
    await using folder = await mkdtempDisposable(join(tmpdir(), "vfiokit-recover-"));
    const socketPath = join(folder.path, "vp9.sock");
    const server = await serveModel("model:vp9?codec=null&fault=wedge@1", { socketPath, log: () => {} });
    const errors: Error[] = [];
    using encoder = openEncoder({
      ...{ device: `vfio-user:${socketPath}`, path, recoverTimeoutMs: 1000 },
      output: () => {},
      error: (error) => void errors.push(error),
    });
    await encoder.configure(config);
    await encoder.encode(frames[0]!);
    await server[Symbol.asyncDispose]();
    await Bun.sleep(300);
    // These find the recovery under way.
    const ends = await Promise.allSettled([encoder.encode(frames[1]!), encoder.flush()]);
    const lost = expect.stringContaining("did not come back within 1000 ms");
    const reason = expect.objectContaining({ message: lost });
    const rejected = { status: "rejected", reason } as const;
    expect(ends).toEqual([rejected, rejected]);
    expect(errors).toEqual([reason]);
  }
});

test("memory that was detached stays until it is disposed of, also that of a model in this process", async () => {
  const device = await openModel(vp9, { options: { codec: "null" }, log: () => {} });
  const memory = device.allocateDma(4096);
  const bytes = memory.bytes();
  const mapping = memory.detach();
  device[Symbol.dispose]();
  await Bun.sleep(500); // its thread has ended, and what it read is unmapped
  bytes.fill(7);
  expect(bytes[4095]).toBe(7);
  expect(() => memory.read32(0)).toThrow("unmapped");
  mapping[Symbol.dispose]();
});

test("an encoder without a frame under way gives a device back that the kernel wants", async () => {
  using opened = openDevice("model:vp9?codec=null");
  let request = () => {};
  const requested = new Promise<number>((resolve) => {
    request = () => resolve(1);
  });
  const device = new Proxy(opened, {
    get(target, name) {
      if (name === "interruptCount")
        return (kind: string) => (kind === "req" ? 1 : target.interruptCount(kind as never));
      if (name === "enableInterrupts")
        return (kind: string, count: number) =>
          kind === "req"
            ? [{ waitAsync: () => requested, [Symbol.dispose]: () => {} }]
            : target.enableInterrupts(kind as never, count);
      if (name === "disableInterrupts")
        return (kind: string) => {
          if (kind !== "req") target.disableInterrupts(kind as never);
        };
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const errors: Error[] = [];
  using encoder = openEncoder({
    ...{ device, recover: 0, output: () => {} },
    error: (error) => void errors.push(error),
  });
  await encoder.configure(config);
  await encoder.encode(frames[0]!);
  await encoder.flush();
  request();
  await Bun.sleep(10);
  expect(errors.map(({ message }) => message)).toEqual([
    expect.stringContaining("the kernel wants the device back"),
  ]);
  expect(encoder.state).toBe("closed");
});
