/** Named device models: each program registers those that it ships. */
import { isAbsolute } from "node:path";
import { DeviceError } from "../device/device.ts";

/** A parsed spec: `model:NAME`, with options as a query: `model:NAME?OPTION=VALUE&...`. */
export interface ModelSpec {
  /** The spec as given. */
  readonly spec: string;
  /** The file that exports the model's ModelDefinition. */
  readonly file: string;
  /** The query. Its names are the model's options, each at most once. */
  readonly query: string;
}

export interface NamedModel {
  readonly name: string;
  readonly file: string;
  readonly options: readonly string[];
  /** One line, for people. */
  readonly about: string;
}

const SCHEME = "model:";
const models = new Map<string, NamedModel>();

/** Registers `model:NAME`. Its file is loaded only when the model is used. Throws RangeError if its path is relative. */
export function registerModel(model: NamedModel): void {
  if (!isAbsolute(model.file))
    throw new RangeError(
      `model:${model.name}: ${model.file} is not an absolute path; fileURLToPath(new URL("./FILE", import.meta.url)) makes one`,
    );
  models.set(model.name, model);
}

export function namedModels(): readonly NamedModel[] {
  return [...models.values()];
}

export function isModelSpec(spec: string): boolean {
  return spec.startsWith(SCHEME);
}

/** Throws DeviceError: no such model, an unknown option, or one given twice. */
export function parseModelSpec(spec: string): ModelSpec {
  const [name = "", query = ""] = spec.slice(SCHEME.length).split(/\?(.*)/s);
  const model = models.get(name);
  if (!model) {
    const known = [...models.keys()].map((known) => SCHEME + known).join(", ");
    throw new DeviceError(`${spec}: unknown model "${name}"; known: ${known || "none"}`);
  }
  const names = [...new URLSearchParams(query).keys()];
  const stranger = names.find((option) => !model.options.includes(option));
  if (stranger !== undefined)
    throw new DeviceError(
      `${spec}: ${SCHEME}${name} has no option "${stranger}"; it has ${model.options.join(" and ") || "none"}`,
    );
  const twice = names.find((option, i) => names.indexOf(option) < i);
  if (twice !== undefined) throw new DeviceError(`${spec}: ${twice} is given twice`);
  return { spec, file: model.file, query };
}
