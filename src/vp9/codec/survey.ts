/** Finds out what each engine would do on this machine. Loads the engines that are here; downloads nothing. */
import { openLibrary } from "../../os/library.ts";
import { loadEngine } from "./codec.ts";
import { DOWNLOAD, findDebian } from "./debian.ts";
import { automaticNames, CodecError, type CodecName, codecNames, engines } from "./engine.ts";
import { sonames, symbols } from "./libvpx-abi.ts";

/** An engine on this machine. */
export interface SurveyedEngine {
  readonly name: CodecName;
  readonly about: string;
  /** Whether it can encode now, would be downloaded first, or can't be had. */
  readonly state: "ready" | "download" | "unavailable";
  /** Its name and version, e.g. "libvpx v1.12.0"; null if it is not here. */
  readonly version: string | null;
  /** Where it is, what would be downloaded, or why it can't be had. */
  readonly detail: string;
  /** Whether "auto" takes it. */
  readonly used: boolean;
}

type Finding = Pick<SurveyedEngine, "state" | "version" | "detail">;

const ready = async (name: CodecName, detail: string): Promise<Finding> => ({
  state: "ready",
  version: (await loadEngine(name)).version,
  detail,
});

const probes: Readonly<Record<CodecName, () => Promise<Finding>>> = {
  async libvpx() {
    const { version } = await loadEngine("libvpx");
    const library = openLibrary(sonames, symbols);
    library.close();
    return { state: "ready", version, detail: `this machine's ${library.soname}` };
  },
  embedded: () => ready("embedded", "in this binary"),
  async debian() {
    const path = await findDebian();
    if (path !== undefined) return ready("debian", path);
    return { state: "download", version: null, detail: `would be downloaded once: ${DOWNLOAD}` };
  },
  "libav.js": () => ready("libav.js", "the npm package"),
  null: () => ready("null", "only if asked for"),
};

async function probe(name: CodecName): Promise<Finding> {
  try {
    return await probes[name]();
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    const detail = error.message.replace(`${name}: `, "");
    return { state: "unavailable", version: null, detail };
  }
}

/** Every engine, in the order in which "auto" tries them. One at most is `used`. */
export async function surveyEngines(): Promise<readonly SurveyedEngine[]> {
  const found: Omit<SurveyedEngine, "used">[] = [];
  // One after the other: a libvpx once loaded from a file would also be found by its name.
  for (const name of codecNames) found.push({ name, about: engines[name], ...(await probe(name)) });
  const used = found.find(({ name, state }) => state !== "unavailable" && automaticNames.includes(name));
  return found.map((engine) => ({ ...engine, used: engine === used }));
}
