/** docs/api, the reference of what the package exports. */
import { beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Door, readReference } from "../../scripts/docs/doors.ts";
import { apiPages, type Page } from "../../scripts/docs/pages.ts";
import { ROOT } from "./rig.ts";

const folder = join(ROOT, "docs/api");
let doors: readonly Door[];
let pages: readonly Page[];

beforeAll(async () => {
  const reference = await readReference();
  doors = reference.doors;
  pages = apiPages(reference, "bun run docs.ts");
}, 120_000);

test("docs/api is what the sources say; bun run docs.ts writes it anew", () => {
  expect(readdirSync(folder).sort()).toEqual(pages.map(({ file }) => file).sort());
  for (const { file, text } of pages) expect(readFileSync(join(folder, file), "utf8")).toBe(text);
});

test("every exported name has a comment that says what it is", () => {
  const silent = doors.flatMap(({ specifier, exports }) =>
    exports
      .filter(({ declarations }) => declarations.every(({ about }) => about === ""))
      .map(({ name }) => `${specifier}: ${name}`),
  );
  expect(silent).toEqual([]);
  expect(doors.flatMap((door) => door.exports).length).toBeGreaterThan(200);
});

test("every link leads to a heading", () => {
  const headings = new Map(
    pages.map(({ file, text }) => {
      const names = [...text.matchAll(/^##+ `(\w+)`$/gm)].map(([, name]) => name!.toLowerCase());
      // GitHub numbers those that are alike.
      return [file, names.map((name, i) => numbered(name, names.slice(0, i)))] as const;
    }),
  );
  const links = pages.flatMap(({ file, text }) =>
    [...text.matchAll(/\]\(([\w.]*)#([\w-]+)\)/g)].map(([, target, anchor]) => ({
      to: target || file,
      anchor,
    })),
  );
  expect(links.length).toBeGreaterThan(500);
  expect(links.filter(({ to, anchor }) => !headings.get(to)?.includes(anchor!))).toEqual([]);
});

function numbered(name: string, before: readonly string[]): string {
  const count = before.filter((other) => other === name).length;
  return count === 0 ? name : `${name}-${count}`;
}

test("docs/package.md links each door to its page", () => {
  const text = readFileSync(join(ROOT, "docs/package.md"), "utf8");
  const linked = [...text.matchAll(/\[`(vfiokit[\w/]*)`\]\((api\/\w+\.md)\)/g)];
  expect(linked.map(([, door]) => door!)).toEqual(doors.map(({ specifier }) => specifier));
  for (const [, , path] of linked) expect(existsSync(join(ROOT, "docs", path!))).toBe(true);
});
