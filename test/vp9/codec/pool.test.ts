/** The pool of codec threads over real MessagePorts; the threads are played by the test, which answers when it likes. */
import { expect, test } from "bun:test";
import { EventFd } from "../../../src/os/eventfd.ts";
import { type CodecChannel, codecChannel, Shared } from "../../../src/vp9/codec/channel.ts";
import type { CodecJob, CodecResult } from "../../../src/vp9/codec/jobs.ts";
import { MAX_THREADS } from "../../../src/vp9/codec/limits.ts";
import { CodecPool } from "../../../src/vp9/codec/pool.ts";

interface Played {
  readonly channel: CodecChannel;
  readonly orders: (CodecJob["kind"] | "end")[];
}

function open() {
  const threads: Played[] = [];
  const start = () => {
    const { ours, theirs } = codecChannel();
    const orders: Played["orders"] = [];
    theirs.port.onmessage = ({ data }: { data: CodecJob }) => void orders.push(data.kind);
    threads.push({ channel: theirs, orders });
    return ours;
  };
  const pool = new CodecPool(3, new EventFd(), start(), start);
  let next = 1;
  return {
    pool,
    threads,
    post: (kind: "open" | "flush") => {
      const id = next++;
      // The settings are the thread's matter.
      pool.post(kind === "flush" ? { kind, id } : { kind, id, settings: {} as never });
      return id;
    },
    close: () => pool.close(next++),
    /** What each thread was told, once the messages are there; what it has taken is forgotten. */
    told: async () => {
      await Bun.sleep(20);
      return threads.map(({ channel: { shared }, orders }) => {
        if (Atomics.exchange(shared, Shared.ENDED, 0) === 1) orders.push("end");
        return orders.splice(0);
      });
    },
    begin: (thread: number, id: number) => Atomics.store(threads[thread]!.channel.shared, Shared.BEGUN, id),
    answer: async (thread: number, ...ids: number[]) => {
      for (const id of ids)
        threads[thread]!.channel.port.postMessage({ id, packets: [], busyUs: 0 } satisfies CodecResult);
      await Bun.sleep(20);
      return pool.take().map(({ id }) => id);
    },
  };
}

test("a thread that has answered everything is taken again, also before it has answered the end of the last stream", async () => {
  const { pool, threads, post, close, told, answer } = open();
  expect(await answer(0, post("open"))).toEqual([1]);
  close();
  post("open");
  expect(await told()).toEqual([["open", "close", "open"]]);
  expect(threads).toHaveLength(1);
  expect(pool.identity).toBe(3);
});

test("a stream gets a thread of its own where the last one's still works, which ends when it is done", async () => {
  const { post, close, told, answer, begin } = open();
  await answer(0, post("open"));
  const frames = [post("flush"), post("flush")];
  begin(0, frames[0]!);
  // Only the frame that it has begun is still read.
  expect(close()).toBe(frames[0]);
  const second = post("open");
  expect(await told()).toEqual([["open", "flush", "flush", "close"], ["open"]]);
  expect(await answer(1, second)).toEqual([second]);
  const frame = post("flush");
  expect(await answer(0, ...frames)).toEqual(frames);
  expect(await told()).toEqual([["end"], ["flush"]]);
  expect(await answer(1, frame)).toEqual([frame]);
});

test("nothing is still read of a stream whose jobs are answered, or were not begun", async () => {
  const { post, close, answer, begin } = open();
  const first = post("open");
  begin(0, first);
  await answer(0, first);
  post("flush");
  expect(close()).toBeUndefined();
});

test("there are four threads at most; a stream that finds all at work starts when the first is done, unless it has ended", async () => {
  const { threads, post, close, told, answer } = open();
  const opened: number[] = [];
  for (let i = 0; i < MAX_THREADS; i++) {
    opened.push(post("open"));
    close();
  }
  expect(threads).toHaveLength(MAX_THREADS);
  await told();
  post("open");
  close();
  const late = post("open");
  expect((await told()).flat()).toEqual([]);
  expect(threads).toHaveLength(MAX_THREADS);
  expect(await answer(2, opened[2]!)).toEqual([opened[2]!]);
  expect(await told()).toEqual([[], [], ["open"], []]);
  await answer(2, late);
  await answer(0, opened[0]!);
  expect(await told()).toEqual([["end"], [], [], []]);
});
