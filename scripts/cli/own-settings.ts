/**
 * Every verb imports this first, for its effects. By then Bun has read `.env` and `bunfig.toml` of the folder
 * that the verb was started in, unless it was told not to, as by bin/vfiokit. Variables of .env are dropped,
 * because they could choose the QEMU or libvpx that runs. If bunfig.toml had code run as root, the verb ends.
 */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const environ = bytesOf("/proc/self/environ");
// A process that dropped its privileges can't read it, but has none to lose.
if (environ !== undefined) {
  const given = new Set(
    environ
      .toString("latin1")
      .split("\0")
      .map((variable) => variable.split("=", 1)[0]),
  );
  for (const name of Object.keys(process.env)) if (!given.has(name)) delete process.env[name];
}

const root = resolve(import.meta.dir, "../..");
const told = Bun.isStandaloneExecutable || process.execArgv.some((word) => /^(-c|--config)/.test(word));
if (!told && process.geteuid?.() === 0) {
  const foreign = bytesOf("bunfig.toml");
  if (foreign !== undefined && !foreign.equals(bytesOf(join(root, "bunfig.toml")) ?? Buffer.alloc(0))) {
    console.error(
      `${resolve("bunfig.toml")} is not vfiokit's, and Bun has read it and run its preloads as root. Nothing else was done; use ${join(root, "bin/vfiokit")} VERB, which does not read it.`,
    );
    process.exit(2);
  }
}

function bytesOf(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
