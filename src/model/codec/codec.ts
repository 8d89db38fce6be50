/** The model's codec: which engines there are, which one to take, and how one is opened. */
import { type Codec, CodecError, type CodecName, type CodecSettings } from "./engine.ts";
import { loadLibvpx, openLibvpx } from "./libvpx.ts";
import { nullVersion, openNull } from "./null.ts";
import { loadWebcodecs, openWebcodecs } from "./webcodecs.ts";

export {
  type Codec,
  CodecError,
  type CodecFrame,
  type CodecName,
  type CodecPacket,
  type CodecSettings,
} from "./engine.ts";

const engines = {
  libvpx: { load: loadLibvpx, open: openLibvpx },
  webcodecs: { load: loadWebcodecs, open: openWebcodecs },
  null: { load: () => ({ version: nullVersion }), open: openNull },
} as const satisfies Record<CodecName, unknown>;

/**
 * Finds an engine that can be had on this machine, without opening a stream: the one asked for, or with "auto" libvpx,
 * and webcodecs where that is missing; "null" only when asked for.
 *
 * @throws {CodecError} with everything that was tried and the command that installs it
 */
export async function chooseCodec(wanted: CodecName | "auto"): Promise<{ name: CodecName; version: string }> {
  if (wanted !== "auto" && !Object.hasOwn(engines, wanted)) {
    throw new CodecError(`there is no codec "${wanted}"; there are ${Object.keys(engines).join(", ")}`);
  }
  const names: readonly CodecName[] = wanted === "auto" ? ["libvpx", "webcodecs"] : [wanted];
  const failures: CodecError[] = [];
  for (const name of names) {
    try {
      const { version } = await engines[name].load();
      return { name, version };
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      failures.push(error);
    }
  }
  throw new CodecError(
    `no codec to encode with\n${failures.map(({ message }) => `  ${message}`).join("\n")}`,
  );
}

/**
 * Opens an engine for one stream.
 *
 * @throws {CodecError} when the engine is missing or refuses the settings
 */
export async function openCodec(name: CodecName, settings: CodecSettings): Promise<Codec> {
  return engines[name].open(settings);
}
