/** What the file of a device model exports by default. */
import type { ConfigSpaceModel } from "./config-space-model.ts";
import type { DeviceModel, Host } from "./device-model.ts";

/** `Data` crosses from the process's main thread to the one that answers messages, so it is what structured clone takes. */
export interface ModelDefinition<Data = unknown> {
  /** What the device is, for people. */
  readonly title: string;
  /** Names of the options that may follow the model's in a spec, `model:NAME?OPTION=VALUE`. */
  readonly options: readonly string[];
  /** What a guest still sees of the device when the model's process was killed. */
  remains(): Promise<DeviceRemains>;
  /**
   * In the main thread, which alone can start further ones, before a client comes.
   * @throws Error: an option's value makes no sense, or the device can't work on this machine
   */
  prepare(setup: ModelSetup): Promise<PreparedModel<Data>>;
  /** In the message thread, while `prepare` works: the device's code. */
  load(): Promise<CreateDevice<Data>>;
}

/** A device whose registers all read as ones. */
export interface DeviceRemains extends Pick<DeviceModel, "config" | "msiVectors"> {
  readonly config: ConfigSpaceModel;
  /** BAR 0 to 5; 0 for none. */
  readonly barBytes: readonly number[];
}

export interface ModelSetup {
  readonly options: URLSearchParams;
  /** Takes a line for people about what takes long, or works worse than it could. */
  notice(line: string): void;
  /** Ends the model, whenever something fails that it can't do without. */
  fail(error: Error): void;
}

export interface PreparedModel<Data = unknown> {
  /** What it works with, for people: the name and version of a library, say. */
  readonly about: string;
  readonly data: Data;
  readonly transfer?: MessagePort[];
  /** Answers what the device asks of the main thread. */
  onAsk?(message: unknown): void;
  /** Ends its threads, and closes its descriptors. */
  release(): void;
}

/** `ask` sends a message to the main thread's `onAsk`. */
export type CreateDevice<Data = unknown> = (
  host: Host,
  data: Data,
  ask: (message: unknown, transfer?: MessagePort[]) => void,
) => DeviceModel;

/** The definition that a file exports. Throws Error where it exports none. */
export async function loadDefinition(file: string): Promise<ModelDefinition> {
  const { default: definition } = (await import(file)) as { readonly default?: ModelDefinition };
  if (typeof definition?.load !== "function") throw new Error(`${file} exports no device model by default`);
  return definition;
}
