/** Device models by name, which each program registers, or by the path of their file. */
import { existsSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { DeviceError } from "../device/device.ts";

/** A parsed spec: `model:NAME` or `model:./FILE.ts`, with options as a query: `model:NAME?OPTION=VALUE&...`. */
export interface ModelSpec {
  /** The spec as given. */
  readonly spec: string;
  /** The file that exports the model's ModelDefinition. */
  readonly file: string;
  /** The query. Its names are the model's options, each at most once. */
  readonly query: string;
}

/** A model that has a name, for `registerModel`. */
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

/** The models that `registerModel` has been given, in that order. */
export function namedModels(): readonly NamedModel[] {
  return [...models.values()];
}

/** Whether a device's spec names a model: `model:...`. */
export function isModelSpec(spec: string): boolean {
  return spec.startsWith(SCHEME);
}

/**
 * A model by its name, or by its file's path, which begins with "/", "./" or "../"; relative to the working directory. Throws
 * DeviceError: no such model, an unknown option, or one given twice.
 */
export function parseModelSpec(spec: string): ModelSpec {
  if (!isModelSpec(spec))
    throw new DeviceError(`${spec}: a model's spec begins with ${SCHEME}, as in ${SCHEME}./counter.model.ts`);
  const [name = "", query = ""] = spec.slice(SCHEME.length).split(/\?(.*)/s);
  const names = [...new URLSearchParams(query).keys()];
  const twice = names.find((option, i) => names.indexOf(option) < i);
  if (twice !== undefined) throw new DeviceError(`${spec}: ${twice} is given twice`);
  if (/^\.{0,2}\//.test(name)) {
    const file = resolve(name);
    if (!existsSync(file)) throw new DeviceError(`${spec}: there is no file ${file}`);
    return { spec, file, query };
  }
  const model = models.get(name);
  if (!model) {
    const known = [...models.keys()].map((known) => SCHEME + known).join(", ");
    throw new DeviceError(
      `${spec}: unknown model "${name}"; known: ${known || "none"}, and model:./FILE.ts for a file`,
    );
  }
  const mistake = optionMistake(query, model.options);
  if (mistake !== undefined) throw new DeviceError(`${spec}: ${SCHEME}${name} ${mistake}`);
  return { spec, file: model.file, query };
}

/** What is wrong with a query's names; undefined if the model has them all. */
export function optionMistake(query: string, options: readonly string[]): string | undefined {
  const stranger = [...new URLSearchParams(query).keys()].find((option) => !options.includes(option));
  return stranger === undefined
    ? undefined
    : `has no option "${stranger}"; it has ${options.join(" and ") || "none"}`;
}
