/** What a guest sees of this machine's folders, by where vfiokit is installed. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guestView, packageRoot, projectOf } from "../../src/guest/project.ts";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "vfiokit-project-")));
afterAll(() => rmSync(folder, { recursive: true }));

function made(...parts: string[]): string {
  const path = join(folder, ...parts);
  mkdirSync(path, { recursive: true });
  return path;
}

test("a clone is seen alone, and worked in", () => {
  const view = guestView(packageRoot);
  expect(view.folders).toEqual([{ name: "vfiokit", path: packageRoot }]);
  expect(view.work).toBe("/vfiokit/work");
  expect(view.program).toBe("/vfiokit/scripts/vfiokit.ts");
  expect(guestView(made("stranger"))).toEqual(view);
});

test("a project that a clone is linked into is seen with it", () => {
  const project = made("linked");
  made("linked/node_modules");
  symlinkSync(packageRoot, join(project, "node_modules/vfiokit"));
  const view = guestView(project);
  expect(view.folders.map(({ path }) => path)).toEqual([packageRoot, project]);
  expect(view.work).toBe("/vfiokit/work");
  expect(view.link).toEqual({ path: "/project/node_modules/vfiokit", target: "/vfiokit" });
});

test("a package is seen with the project that it is installed in, however deep it lies there", () => {
  const view = guestView("/home/me/p", "/home/me/p/node_modules/.pnpm/vfiokit@1/node_modules/vfiokit");
  expect(view).toEqual({
    folders: [{ name: "project", path: "/home/me/p" }],
    project: "/project",
    work: "/work",
    program: "/project/node_modules/.pnpm/vfiokit@1/node_modules/vfiokit/scripts/vfiokit.ts",
    link: { path: "/node_modules", target: "/project/node_modules" },
  });
});

test("of a workspace all is seen, whichever part of it is the project", () => {
  const hoisted = guestView("/home/me/all/part", "/home/me/all/node_modules/vfiokit");
  expect(hoisted.folders).toEqual([{ name: "project", path: "/home/me/all" }]);
  expect(hoisted.link.target).toBe("/project/node_modules");
  const nested = guestView("/home/me/all", "/home/me/all/part/node_modules/vfiokit");
  expect(nested.folders).toEqual([{ name: "project", path: "/home/me/all" }]);
  expect(nested.program).toBe("/project/part/node_modules/vfiokit/scripts/vfiokit.ts");
  expect(nested.link.target).toBe("/project/part/node_modules");
});

test("a package that is installed elsewhere is seen beside the project", () => {
  const view = guestView("/home/me/p", "/usr/local/lib/node_modules/vfiokit");
  expect(view.folders).toEqual([
    { name: "vfiokit", path: "/usr/local/lib" },
    { name: "project", path: "/home/me/p" },
  ]);
  expect(view.work).toBe("/work");
  expect(view.program).toBe("/vfiokit/node_modules/vfiokit/scripts/vfiokit.ts");
});

test("the project is the folder with the nearest package.json, or the folder itself", () => {
  const deep = made("a/b/c");
  expect(projectOf(deep)).toBe(deep);
  writeFileSync(join(folder, "a/package.json"), "{}");
  expect(projectOf(deep)).toBe(join(folder, "a"));
});
