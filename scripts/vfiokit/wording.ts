/** How a verb is called in a text: "bun run list.ts" in a clone, which the sources say, and "vfiokit list" of the command. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { plugin } from "bun";
import { packageVerbs, verbs } from "./verbs.ts";

/** A source with the mentions of these verbs as the command is called: "bun run list.ts", or "list.ts" where that is no path. */
export function worded(source: string, names: readonly string[]): string {
  return source.replace(
    new RegExp(`(?<![\\w./-])(?:bun run )?(${names.join("|")})\\.ts\\b`, "g"),
    "vfiokit $1",
  );
}

/** Has the files that are loaded from now on say what is typed for the command; a standalone binary is built so. */
export function rewordSources(): void {
  const root = resolve(import.meta.dir, "../..");
  const names = [...Object.keys(verbs), ...Object.keys(packageVerbs)];
  plugin({
    name: "wording",
    setup(build) {
      const sources = new RegExp(`^${RegExp.escape(root)}/(src|scripts)/.*\\.ts$`);
      build.onLoad({ filter: sources }, ({ path }) => ({
        contents: worded(readFileSync(path, "utf8"), names),
        loader: "ts",
      }));
    },
  });
}
