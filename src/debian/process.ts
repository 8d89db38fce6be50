/** Runs this machine's programs for fetching and unpacking. */
import { MAX_ERROR_CHARACTERS, MAX_OUTPUT_BYTES, RUN_S } from "./limits.ts";

/** The machine lacks a program or a package. */
export class MissingToolError extends Error {}

/** The Debian packages of the programs used here. */
const packages: Record<string, string> = {
  "apt-get": "apt",
  "apt-cache": "apt",
  "apt-config": "apt",
  "dpkg-deb": "dpkg",
  xz: "xz-utils",
  tar: "tar",
  npm: "npm",
  flock: "util-linux",
  setpriv: "util-linux",
};

/** The path of a program. Throws MissingToolError that names its package. */
export function findTool(name: string): string {
  const path = Bun.which(name);
  if (path === null) {
    throw new MissingToolError(
      `${name} is needed but not on the PATH; it is in Debian's package ${packages[name] ?? name}`,
    );
  }
  return path;
}

/** A run with other limits than this floor's. */
export interface RunLimits {
  readonly timeS?: number;
  readonly outputBytes?: number;
}

/**
 * Runs a program to its end and returns its standard output.
 * @throws Error with its standard error if it fails, if `limit` aborts it, if it takes too long or writes too much
 */
export async function run(
  command: readonly [string, ...string[]],
  options: { cwd?: string; env?: Record<string, string>; stdin?: Uint8Array; limit?: AbortSignal } = {},
  { timeS = RUN_S, outputBytes = MAX_OUTPUT_BYTES }: RunLimits = {},
): Promise<Uint8Array> {
  const [name, ...args] = command;
  if (options.limit?.aborted) throw new Error(`${name} ${args.join(" ")} was not started: no time is left`);
  const child = Bun.spawn([findTool(name), ...args], {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, LC_ALL: "C", ...options.env },
    stdin: options.stdin ?? "ignore",
    ...(options.limit === undefined ? {} : { signal: options.limit }),
    stdout: "pipe",
    stderr: "pipe",
  });
  let ended: string | undefined;
  const end = (why: string) => {
    ended ??= `${name} ${args.join(" ")} ${why}, and was ended`;
    child.kill("SIGKILL");
  };
  const timer = setTimeout(() => end(`took longer than ${timeS} s`), timeS * 1000);
  const [output, errors, code] = await Promise.all([
    collect(child.stdout, outputBytes, () => end(`wrote more than ${outputBytes} bytes`)),
    lastOf(child.stderr),
    child.exited,
  ]).finally(() => clearTimeout(timer));
  if (ended !== undefined) throw new Error(ended);
  if (options.limit?.aborted) throw new Error(`${name} ${args.join(" ")} took too long`);
  if (code !== 0) {
    const reason = child.signalCode ? `was killed by ${child.signalCode}` : `failed with exit code ${code}`;
    throw new Error(`${name} ${args.join(" ")} ${reason}\n${errors.trim()}`);
  }
  return output;
}

/** All bytes of a stream; the first ones after `tooMany` was called. */
async function collect(
  stream: ReadableStream<Uint8Array>,
  mostBytes: number,
  tooMany: () => void,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of stream) {
    sizeBytes += part.byteLength;
    if (sizeBytes > mostBytes) {
      tooMany();
      break;
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** The end of a stream, as text. */
async function lastOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of stream)
    text = (text + decoder.decode(part, { stream: true })).slice(-MAX_ERROR_CHARACTERS);
  return text;
}
