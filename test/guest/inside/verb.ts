/** Runs verbs in the guest as a person does. */
import { join } from "node:path";

export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  /** What it said on standard error, without the decoration. */
  readonly said: string;
}

const root = join(import.meta.dir, "../../..");

/** `verb("bind", address)`. */
export function verb(name: string, ...words: string[]): Promise<Ended> {
  return run([process.execPath, join(root, "scripts", `${name}.ts`), ...words]);
}

/** The same as a user without any rights. */
export function verbAsNobody(name: string, ...words: string[]): Promise<Ended> {
  const nobody = join(import.meta.dir, "as-nobody.ts");
  return run([process.execPath, "--preload", nobody, join(root, "scripts", `${name}.ts`), ...words]);
}

/** Another program; throws when it fails. */
export async function tool(...command: string[]): Promise<string> {
  const { exitCode, stdout, said } = await run(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: exit code ${exitCode}: ${said}`);
  return stdout.trim();
}

async function run(command: string[]): Promise<Ended> {
  const child = Bun.spawn(command, {
    env: { ...process.env, NO_COLOR: "1", NODE_ENV: undefined },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const said = stderr.trim().replace(/^(ERROR|ℹ)\s+/, "");
  return { exitCode: await child.exited, stdout, said };
}
