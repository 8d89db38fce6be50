import { afterAll, expect, test } from "bun:test";
import { readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { openByteInput } from "../../src/media/byte-input.ts";
import { tempFolder } from "./rig.ts";

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

const MIB = 2 ** 20;
const content = Buffer.from(Uint8Array.from({ length: 5 * MIB + 1234 }, (_, i) => (i * 7 + (i >> 9)) & 0xff));
const path = folder.file("content");
writeFileSync(path, content);

/** Every file is slow to this one. */
const openSlowly = () => openByteInput(path, Number.POSITIVE_INFINITY);
const isOpen = () =>
  readdirSync("/proc/self/fd").some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false; // gone meanwhile
    }
  });

test.each([[[MIB]], [[MIB - 6, 6]], [[300_000, 100, 300_000]], [[3 * MIB, 10, 200, 5 * MIB]]])(
  "a slow file, which is read ahead, gives the bytes that a fast one does: %p at a time",
  async (sizes) => {
    using input = await openSlowly();
    expect(Buffer.from(await input.lookAhead(16)).equals(content.subarray(0, 16))).toBe(true);
    let position = 0;
    let asynchronous = 0;
    for (let i = 0; position < content.length; i++) {
      const into = Buffer.alloc(sizes[i % sizes.length]!);
      const filled = input.fill(into);
      if (typeof filled !== "number") asynchronous++;
      const got = await filled;
      expect(got).toBe(Math.min(into.length, content.length - position));
      expect(into.subarray(0, got).equals(content.subarray(position, position + got))).toBe(true);
      position += got;
      expect(input.position).toBe(position);
    }
    expect(asynchronous).toBeGreaterThan(0);
    expect(await input.fill(Buffer.alloc(10))).toBe(0);
  },
);

test("one that is closed while it is read ahead leaves memory alone that may be gone, and no descriptor", async () => {
  const input = await openSlowly();
  await input.fill(new Uint8Array(MIB));
  const into = new Uint8Array(MIB);
  const filling = Promise.resolve(input.fill(into));
  input[Symbol.dispose]();
  await expect(filling).rejects.toThrow(`"${path}" was closed while it was being read`);
  expect(into.every((byte) => byte === 0)).toBe(true);
  for (let i = 0; i < 100 && isOpen(); i++) await Bun.sleep(10);
  expect(isOpen()).toBe(false);
});

test("a file that is fast is read in its turn, without a promise", async () => {
  using input = await openByteInput(path, 0);
  for (let i = 0; i < 3; i++) expect(input.fill(new Uint8Array(MIB))).toBe(MIB);
});
