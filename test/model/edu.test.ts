/** The driver of QEMU's edu on our model of it. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import edu from "../../examples/edu/edu.model.ts";
import { openEdu } from "../../examples/edu/edu.ts";
import { openModel } from "../../src/exports/model.ts";
import { openDevice } from "../../src/index.ts";
import { talkToEdu } from "./edu-script.ts";

test("the driver talks to the model in this process and in one of its own, and gets the same answers", async () => {
  using inside = await openModel(edu);
  using served = openDevice(`model:${join(import.meta.dir, "../../examples/edu/edu.model.ts")}`);
  const answers = talkToEdu(inside);
  expect(talkToEdu(served)).toEqual(answers);
  expect(answers.length).toBe(24);
  expect(Object.fromEntries(answers.map(([step, first]) => [step, first]))).toMatchObject({
    identity: 0x010000ed,
    "liveness 305419896": 0xedcba987,
    "factorial 12": 479_001_600,
  });
});

test("a factorial of 2^32 - 1, which is 0 modulo 2^32, does not hold the model up", async () => {
  using device = await openModel(edu);
  const startMs = performance.now();
  expect(openEdu(device).factorial(0xffff_ffff)).toBe(0);
  expect(performance.now() - startMs).toBeLessThan(1000);
});

test("a copy whose command has bit 31 set, which means nothing, ends as others do", async () => {
  using device = await openModel(edu);
  const { io } = openEdu(device);
  io.DMA_COMMAND.write(0x8000_0001);
  const deadlineMs = performance.now() + 2000;
  while (io.DMA_COMMAND.read() & 1 && performance.now() < deadlineMs) await Bun.sleep(1);
  expect(io.DMA_COMMAND.read()).toBe(0x8000_0000);
});
