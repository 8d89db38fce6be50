/** Another commit of this repository, ready to run. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export const ROOT = resolve(import.meta.dir, "../..");

export interface Checkout extends Disposable {
  readonly root: string;
}

/**
 * Checks a commit out into a folder of its own, with this checkout's node_modules and programs for the benchmarks: the
 * program that measures must be the same on both sides. Dispose removes it. Throws Error with git's words.
 */
export function checkOut(commit: string): Checkout {
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-bench-"));
  const root = join(folder, "before");
  const remove = () => {
    rmSync(folder, { recursive: true, force: true });
    git("worktree", "prune");
  };
  try {
    git("worktree", "add", "--detach", root, commit);
    cpSync(join(ROOT, "node_modules"), join(root, "node_modules"), {
      recursive: true,
      verbatimSymlinks: true,
    });
    cpSync(join(ROOT, "scripts/bench"), join(root, "scripts/bench"), { recursive: true });
  } catch (error) {
    remove();
    throw error;
  }
  return { root, [Symbol.dispose]: remove };
}

/** This checkout's commit, with a plus if files differ from it. */
export function commitHere(): string {
  return `${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain", "--untracked-files=no") ? "+" : ""}`;
}

function git(...words: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["git", "-C", ROOT, ...words], { stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`git ${words.join(" ")} failed: ${stderr}`);
  return stdout.toString().trim();
}
