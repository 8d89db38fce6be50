/** Which of the free huge pages are taken for memory that a device reaches by its physical address. */
import { expect, test } from "bun:test";
import { findRun } from "../../src/device/physical/memories.ts";
import { HUGE_PAGE } from "../../src/os/huge-pages.ts";

/** Pages of a file, in this order, at multiples of a huge page. */
const at = (...places: number[]) =>
  places.map((place, i) => ({ offset: i * HUGE_PAGE, physical: place * HUGE_PAGE }));
const run = (pages: ReturnType<typeof at>, count: number, limit = 2 ** 53) =>
  findRun(pages, count, limit)?.map(({ physical }) => physical / HUGE_PAGE);

test("a run is found in whatever order the kernel gave its pages, the lowest first", () => {
  expect(run(at(9, 8, 3, 5, 4), 3)).toEqual([3, 4, 5]);
  expect(run(at(9, 8, 3, 5, 4), 2)).toEqual([3, 4]);
  expect(run(at(7), 1)).toEqual([7]);
});

test("pages that do not follow each other have no run, and neither have too few", () => {
  expect(run(at(1, 3, 5, 7), 2)).toBeUndefined();
  expect(run(at(1, 2), 3)).toBeUndefined();
  expect(run([], 1)).toBeUndefined();
});

test("a run ends below what the device reaches", () => {
  expect(run(at(1, 3, 4, 5), 2, 4 * HUGE_PAGE)).toBeUndefined();
  expect(run(at(1, 3, 4, 5), 2, 5 * HUGE_PAGE)).toEqual([3, 4]);
  expect(run(at(2, 1), 2, 2 ** 16)).toBeUndefined();
});
