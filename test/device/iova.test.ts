import { expect, test } from "bun:test";
import { IovaAllocator } from "../../src/device/iova.ts";

const GIB = 2 ** 30;

test("addresses lie within the ranges, aligned, below what the device reaches, and never overlap", () => {
  const ranges = [
    { first: 0n, last: 0xfedf_ffffn },
    { first: 0xfef0_0000n, last: 2n ** 39n - 1n },
  ];
  const allocator = new IovaAllocator(ranges);
  const live: { iova: number; end: number }[] = [];
  let seed = 1;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  for (let i = 0; i < 5000; i++) {
    if (random(3) === 0 && live.length > 0) {
      const [{ iova }] = live.splice(random(live.length), 1) as unknown as [{ iova: number }];
      allocator.free(iova);
      continue;
    }
    const alignment = 4096 << (9 * random(3));
    const sizeBytes = 4096 * (1 + random(1000));
    const addressBits = [28, 32, 64][random(3)]!;
    const iova = allocator.allocate(sizeBytes, alignment, addressBits);
    if (iova === undefined) continue;
    const end = iova + sizeBytes;
    expect(iova % alignment).toBe(0);
    expect(end).toBeLessThanOrEqual(2 ** addressBits);
    expect(ranges.some(({ first, last }) => iova >= Number(first) && end - 1 <= Number(last))).toBe(true);
    expect(live.some((other) => iova < other.end && other.iova < end)).toBe(false);
    live.push({ iova, end });
  }
  expect(live.length).toBeGreaterThan(100);
});

test("address 0 is nobody's, and addresses above 4 GiB come first", () => {
  const allocator = new IovaAllocator([{ first: 0n, last: 2n ** 64n - 1n }]);
  expect(allocator.allocate(4096, 4096)).toBe(4 * GIB);
  expect(allocator.allocate(4096, 4096, 32)).toBe(4096);
});

test("nothing is given where no range has room", () => {
  const allocator = new IovaAllocator([{ first: 0x1000n, last: 0x2fffn }]);
  expect(allocator.allocate(0x3000, 4096)).toBeUndefined();
  const first = allocator.allocate(0x2000, 4096)!;
  expect(allocator.allocate(0x1000, 4096)).toBeUndefined();
  allocator.free(first);
  expect(allocator.allocate(0x1000, 4096)).toBe(first);
});
