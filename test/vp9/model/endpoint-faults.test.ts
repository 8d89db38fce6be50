/** Injected faults, as the registers and the rings show them. */
import { describe, expect, test } from "bun:test";
import type { PciDevice } from "../../../src/device/device.ts";
import { openDevice } from "../../../src/index.ts";
import { parseFaults } from "../../../src/model/fault-injection.ts";
import { completionCheck, submissionCheck } from "../../../src/vp9/contract/check.ts";
import { MAGIC } from "../../../src/vp9/contract/registers.ts";
import {
  COMPLETION_BYTES,
  Completion,
  SUBMISSION_BYTES,
  Submission,
  SubmitFlag,
} from "../../../src/vp9/contract/rings.ts";
import { endpointFaultKinds } from "../../../src/vp9/model/faults.ts";
import { LIMIT_MS, PROGRAM, type Server, startServer, until } from "../../model/rig.ts";
import { Place, Rig, States } from "./stream-rig.ts";

const ALL_ONES = 0xffff_ffff;

async function open(fault: string): Promise<{ device: PciDevice; rig: Rig } & Disposable> {
  const device = openDevice(`model:vp9?codec=null&fault=${fault}`);
  const rig = new Rig(device);
  await rig.run();
  return {
    device,
    rig,
    [Symbol.dispose]() {
      rig[Symbol.dispose]();
      device[Symbol.dispose]();
    },
  };
}

test("drop-interrupt: the frame completes unannounced, and the next one is announced again", async () => {
  using faulty = await open("drop-interrupt@2");
  const { device, rig } = faulty;
  using msi = device.enableInterrupts("msi", 1)[0]!;
  rig.regs.IRQ_ENABLE.write(1);
  const signals = [];
  for (let i = 0; i < 3; i++) {
    rig.regs.IRQ_STATUS.clear(ALL_ONES);
    expect(await rig.outcome()).toMatchObject({ status: "OK", sequence: i + 1 });
    signals.push([rig.regs.IRQ_STATUS.read(), msi.take()]);
  }
  expect(signals).toEqual([
    [1, 1],
    [0, 0],
    [1, 1],
  ]);
  device.disableInterrupts("msi");
});

test("stall: the frame and those after it come late, all of them, in order, and only once", async () => {
  using faulty = await open("stall@2=300");
  const { rig } = faulty;
  expect((await rig.outcome()).status).toBe("OK");
  for (let i = 0; i < 3; i++) rig.fill();
  rig.ring();
  // The codec is done in no time; what is asked for takes a few of these.
  for (let i = 0; i < 10; i++) {
    await Bun.sleep(1);
    expect([rig.regs.STATUS.read(), rig.regs.SQ_HEAD.read(), rig.regs.CQ_TAIL.read()]).toEqual([
      States.RUNNING,
      4,
      1,
    ]);
  }
  for (let i = 0; i < 3; i++) expect(await rig.complete()).toMatchObject({ tag: i + 1, status: "OK" });
  await rig.expectWorking();
});

test("a stalled frame is dropped by STOP, and the next stream is not held up", async () => {
  using faulty = await open("stall@1=60000");
  const { rig } = faulty;
  rig.submit();
  await Bun.sleep(20);
  expect(rig.regs.CQ_TAIL.read()).toBe(0);
  rig.stop();
  await rig.run();
  await rig.expectWorking();
});

test("wedge: submissions are taken and nothing completes, not even a flush, until a reset", async () => {
  using faulty = await open("wedge@2");
  const { device, rig } = faulty;
  expect((await rig.outcome()).status).toBe("OK");
  for (const entry of [{}, {}, { opcode: 2 }]) rig.submit(entry);
  await Bun.sleep(20);
  rig.submit({ opcode: 9 });
  expect([rig.regs.MAGIC.read(), rig.regs.STATUS.read()]).toEqual([MAGIC, States.RUNNING]);
  expect([rig.regs.SQ_HEAD.read(), rig.regs.CQ_TAIL.read()]).toEqual([5, 1]);
  device.reset();
  await rig.run();
  await rig.expectWorking();
});

test("ones: every register reads as all ones and takes no write, until the device is reset", async () => {
  using faulty = await open("ones@2");
  const { device, rig } = faulty;
  expect((await rig.outcome()).status).toBe("OK");
  rig.submit();
  await until("all ones", () => rig.regs.STATUS.read() === ALL_ONES);
  for (let offset = 0; offset < 4096; offset += 4) expect(device.bars[0]!.read32(offset)).toBe(ALL_ONES);
  rig.regs.COMMAND.write(3);
  expect(rig.regs.MAGIC.read()).toBe(ALL_ONES);
  expect(rig.take()).toBeUndefined();
  device.reset();
  expect(rig.regs.MAGIC.read()).toBe(MAGIC);
  await rig.run();
  await rig.expectWorking();
});

test("corrupt: the frame completes with a tag that was never submitted", async () => {
  using faulty = await open("corrupt@2");
  const { rig } = faulty;
  const tags = [];
  for (let i = 0; i < 3; i++) tags.push((await rig.outcome({ tag: 0x1234_0000 + i })).tag);
  expect(tags).toEqual([0x1234_0000, ~0x1234_0001 >>> 0, 0x1234_0002]);
});

test("die: the model is killed before the frame completes", async () => {
  await using server: Server = await startServer("--codec=null", "--fault=die@2");
  using device = server.open();
  const rig = new Rig(device);
  await rig.run();
  expect((await rig.outcome()).status).toBe("OK");
  rig.submit();
  await until("the model to be killed", server.stopped);
  expect(rig.take()).toBeUndefined();
  expect(() => rig.regs.STATUS.read()).toThrow("the server disconnected");
});

test("several faults can be injected, and a frame that fails counts as one, too", async () => {
  using faulty = await open("corrupt@1,drop-interrupt@2,wedge@3");
  const { rig } = faulty;
  expect(await rig.outcome({ tag: 1, flags: 16 })).toMatchObject({
    tag: 0xffff_fffe,
    status: "BAD_DESCRIPTOR",
  });
  expect(await rig.outcome({ tag: 2 })).toMatchObject({ tag: 2, status: "OK" });
  rig.submit();
  await Bun.sleep(20);
  expect(rig.regs.CQ_TAIL.read()).toBe(2);
});

const nonsense: [string, string][] = [
  ["explode@3", "explode@3"],
  ["wedge", "wedge"],
  ["wedge@", "wedge@"],
  ["wedge@0", "wedge@0"],
  ["wedge@-1", "wedge@-1"],
  ["wedge@1.5", "wedge@1.5"],
  ["wedge@x", "wedge@x"],
  ["stall@3", "stall@3"],
  ["wedge@0", "wedge@0"],
  ["wedge@0.", "wedge@0."],
  ["stall@0.5", "stall@0.5"],
  ["seed=x", "seed=x"],
  ["stall@3=", "stall@3="],
  ["stall@3=fast", "stall@3=fast"],
  ["constructor@1", "constructor@1"],
  ["die@10, wedge@3", " wedge@3"],
  ["die@10;wedge@3", "die@10;wedge@3"],
  ["die@1,oops,wedge@3", "oops"],
];
test("a list of faults that makes no sense is refused, naming the part, and saying what there is", () => {
  for (const [list, part] of nonsense) {
    const parse = () => parseFaults(list, endpointFaultKinds);
    expect(parse).toThrow(`unknown fault "${part}". A fault is KIND@N, at frame N, counted from 1; `);
    for (const kind of Object.keys(endpointFaultKinds.kinds)) expect(parse).toThrow(`\n  ${kind}@N`);
  }
});

test("a list of faults is read in order; an empty one has none", () => {
  expect(parseFaults("", endpointFaultKinds)).toEqual([]);
  expect(parseFaults("stall@3=200,die@10,", endpointFaultKinds)).toEqual([
    { kind: "stall", at: 3, forMs: 200, seed: 1 },
    { kind: "die", at: 10, forMs: 0, seed: 1 },
  ]);
  expect(parseFaults("corrupt@0.01,seed=7,ones@2=50", endpointFaultKinds)).toEqual([
    { kind: "corrupt", at: 0.01, forMs: 0, seed: 7 },
    { kind: "ones", at: 2, forMs: 50, seed: 7 },
  ]);
});

test("the program refuses such a list, too, with exit code 1 and no socket", async () => {
  const child = Bun.spawn(
    [process.execPath, PROGRAM, "--socket=/nonexistent/s", "--codec=null", "--fault=x@1"],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NODE_ENV: "production" },
      timeout: LIMIT_MS,
    },
  );
  expect([await child.exited, await new Response(child.stderr).text()]).toEqual([
    1,
    expect.stringContaining('unknown fault "x@1"'),
  ]);
});

describe("a fault of one frame's completion:", () => {
  test.each([
    ["repeat@2", [0, 1, 1, 2]],
    ["swap@2", [0, 2, 1]],
  ])("%s", async (fault, tags) => {
    using faulty = await open(fault);
    const { rig } = faulty;
    for (let i = 0; i < 3; i++) rig.fill();
    rig.ring();
    const seen = [];
    for (const _ of tags) seen.push((await rig.complete()).tag);
    expect(seen).toEqual(tags);
  });

  test.each([
    ["wrong-length@2", { status: "OK", packetBytes: 17 }],
    ["zero-length@2", { status: "OK", packetBytes: 0 }],
    ["codec-error@2", { status: "CODEC_FAILED", packetBytes: 0 }],
  ])("%s", async (fault, expected) => {
    using faulty = await open(fault);
    const { rig } = faulty;
    expect(await rig.outcome()).toMatchObject({ status: "OK", packetBytes: 16 });
    expect(await rig.outcome()).toMatchObject(expected);
    await rig.expectWorking();
  });

  test("flip-completion: its CHECK is wrong", async () => {
    using faulty = await open("flip-completion@2");
    const { rig } = faulty;
    for (let i = 0; i < 3; i++) rig.fill({ output: rig.iova(Place.OUTPUT + 64 * i) });
    rig.ring();
    await until("three completions", () => rig.regs.CQ_TAIL.read() === 3);
    const areRight = [0, 1, 2].map((i) => {
      const entry = rig.get(Place.CQ + i * COMPLETION_BYTES, COMPLETION_BYTES);
      const check = completionCheck(entry, [rig.get(Place.OUTPUT + 64 * i, 16)]);
      return new DataView(entry.buffer).getUint32(Completion.CHECK, true) === check;
    });
    expect(areRight).toEqual([true, false, true]);
  });
});

test("flip-submission: the next submission is refused, if it has a CHECK", async () => {
  using faulty = await open("flip-submission@1");
  const { rig } = faulty;
  expect((await rig.outcome()).status).toBe("OK");
  rig.fill({ flags: SubmitFlag.CHECK });
  const entry = rig.get(Place.SQ + SUBMISSION_BYTES, SUBMISSION_BYTES);
  new DataView(entry.buffer).setUint32(Submission.CHECK, submissionCheck(entry), true);
  rig.put(Place.SQ + SUBMISSION_BYTES, entry);
  rig.ring();
  expect((await rig.complete()).status).toBe("BAD_CHECK");
  await rig.expectWorking();
});

test("full-queue: no submission is taken, for its time", async () => {
  using faulty = await open("full-queue@1=1000");
  const { rig } = faulty;
  expect((await rig.outcome()).status).toBe("OK");
  rig.submit();
  await Bun.sleep(50);
  expect([rig.regs.SQ_HEAD.read(), rig.regs.CQ_TAIL.read()]).toEqual([1, 1]);
  await Bun.sleep(1000);
  expect((await rig.outcome()).status).toBe("OK");
});

test("slow: a frame takes 100 times as long as the codec works on it", async () => {
  const device = openDevice("model:vp9?codec=libvpx&fault=slow@1");
  const rig = new Rig(device);
  await rig.run();
  await rig.outcome();
  const startMs = performance.now();
  const { busyUs } = await rig.outcome();
  expect(performance.now() - startMs).toBeGreaterThan((99 * busyUs) / 1000);
  rig[Symbol.dispose]();
  device[Symbol.dispose]();
});
