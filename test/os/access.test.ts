import { expect, test } from "bun:test";
import {
  copy32,
  copy64,
  fence,
  read8,
  read16,
  read32,
  read64,
  write8,
  write16,
  write32,
  write64,
} from "../../src/os/access.ts";
import { createMemfd, mapShared } from "../../src/os/memory.ts";

function sharedPage() {
  const fd = createMemfd("access-test", 4096);
  return { fd, mapping: mapShared(fd.number, 4096) };
}

test("each width reads and writes exactly its bytes, little-endian", () => {
  const { fd, mapping } = sharedPage();
  const at = mapping.address;
  const bytes = mapping.bytes();
  bytes.fill(0xee, 0, 32);
  write8(at + 1, 0x12);
  write16(at + 4, 0x3456);
  write32(at + 8, 0x89abcdef);
  write64(at + 16, 0xfedcba9876543210n);
  expect(bytes.slice(0, 26).toHex()).toBe("ee12eeee5634eeeeefcdab89eeeeeeee1032547698badcfeeeee");
  expect(read8(at + 1)).toBe(0x12);
  expect(read16(at + 4)).toBe(0x3456);
  expect(read32(at + 8)).toBe(0x89abcdef);
  expect(read64(at + 16)).toBe(0xfedcba9876543210n);
  mapping[Symbol.dispose]();
  fd[Symbol.dispose]();
});

test("copies move whole words and stop where they are told to", () => {
  const { fd, mapping } = sharedPage();
  const at = mapping.address;
  const bytes = mapping.bytes();
  for (let i = 0; i < 32; i++) bytes[i] = i + 1;
  copy32(at + 100, at, 3);
  copy64(at + 200, at, 2);
  copy64(at + 300, at, 0);
  fence();
  expect([...bytes.subarray(100, 114)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0]);
  expect([...bytes.subarray(200, 218)]).toEqual([...Array.from({ length: 16 }, (_, i) => i + 1), 0, 0]);
  expect(bytes[300]).toBe(0);
  mapping[Symbol.dispose]();
  fd[Symbol.dispose]();
});

test("a hot polling loop sees what another process writes", async () => {
  const { fd, mapping } = sharedPage();
  const flag = mapping.address;
  const answer = mapping.address + 64;
  // The other process: answers each number that it finds in the first word by writing it to the second.
  const program = `
    import { read32, write32 } from ${JSON.stringify(import.meta.resolve("../../src/os/access.ts"))};
    import { mapShared } from ${JSON.stringify(import.meta.resolve("../../src/os/memory.ts"))};
    const { address } = mapShared(3, 4096);
    for (let n = 1; n <= 200; n++) {
      while (read32(address) !== n);
      write32(address + 64, n);
    }`;
  const child = Bun.spawn([process.execPath, "-e", program], {
    stdio: ["ignore", "inherit", "inherit", fd.number],
  });
  let rounds = 0;
  const deadline = performance.now() + 20_000;
  for (let n = 1; n <= 200; n++) {
    write32(flag, n);
    // Hot long before the answer comes the first time: the other process still has to start.
    let spins = 0;
    while (read32(answer) !== n) {
      if (++spins % 1_000_000 === 0 && performance.now() > deadline)
        throw new Error(`round ${n}: the change was never seen`);
    }
    rounds++;
  }
  expect(rounds).toBe(200);
  expect(await child.exited).toBe(0);
  mapping[Symbol.dispose]();
  fd[Symbol.dispose]();
}, 30_000);
