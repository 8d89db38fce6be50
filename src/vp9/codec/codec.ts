/** The model's codec: lists the engines, chooses one and opens it. */
import {
  automaticNames,
  type Codec,
  CodecError,
  type CodecName,
  type CodecSettings,
  codecNames,
  type Engine,
} from "./engine.ts";
import { loadLibvpx } from "./libvpx.ts";
import { nullEngine } from "./null.ts";

export {
  type Codec,
  CodecError,
  type CodecFrame,
  type CodecName,
  type CodecPacket,
  type CodecSettings,
} from "./engine.ts";

type Notice = (line: string) => void;

/** How to load each engine. Engines that most machines don't need are imported on demand. */
const loaders: Readonly<Record<CodecName, (notice: Notice) => Engine | Promise<Engine>>> = {
  libvpx: () => loadLibvpx(),
  embedded: async () => (await import("./embedded.ts")).loadEmbedded(),
  debian: async (notice) => (await import("./debian.ts")).loadDebian(notice),
  "libav.js": async () => (await import("./libav.ts")).loadLibav(),
  null: () => nullEngine,
};

const loaded = new Map<CodecName, Engine>();

/**
 * Loads an engine, once for each thread.
 *
 * @throws {CodecError} in one line, if it is not available
 */
export async function loadEngine(name: CodecName, notice: Notice = () => {}): Promise<Engine> {
  const engine = loaded.get(name) ?? (await loaders[name](notice));
  loaded.set(name, engine);
  return engine;
}

/**
 * Finds an engine that works on this machine, without opening a stream: the one asked for, or with "auto"
 * the first of {@link automaticNames} that is available.
 *
 * @param notice receives one line for each thing fetched, and one on what a slower engine than libvpx costs
 * @throws {CodecError} with everything that was tried and the command that installs it
 */
export async function chooseCodec(
  wanted: CodecName | "auto",
  notice: Notice = () => {},
): Promise<{ name: CodecName; version: string }> {
  if (wanted !== "auto" && !Object.hasOwn(loaders, wanted)) {
    throw new CodecError(`unknown codec "${wanted}"; the codecs are ${codecNames.join(", ")}`);
  }
  const failures: CodecError[] = [];
  const find: Notice = (line) => notice(wanted === "auto" ? `no libvpx on this machine; ${line}` : line);
  for (const name of wanted === "auto" ? automaticNames : [wanted]) {
    try {
      const { version } = await loadEngine(name, find);
      if (wanted === "auto" && name === "libav.js")
        find(
          `encoding with ${version} in WebAssembly, at a tenth of the speed: ${failures.at(-1)?.message}; apt-get install libvpx7 (libvpx9 on Debian 13) is better`,
        );
      return { name, version };
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      failures.push(error);
    }
  }
  throw new CodecError(`no codec available\n${failures.map(({ message }) => `  ${message}`).join("\n")}`);
}

/**
 * Opens an engine for one stream.
 *
 * @throws {CodecError} when the engine is missing or refuses the settings
 */
export async function openCodec(name: CodecName, settings: CodecSettings): Promise<Codec> {
  return (await loadEngine(name)).open(settings);
}
