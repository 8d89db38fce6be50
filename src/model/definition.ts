/** The default export of a device model's file. */
import type { ConfigSpaceModel } from "./config-space-model.ts";
import type { DeviceModel, Host } from "./device-model.ts";

/** A device model's file exports one by default. `Data` passes from the main thread to the message thread, so structured clone must accept it. */
export interface ModelDefinition<Data = unknown> {
  /** What the device is, for people. */
  readonly title: string;
  /** Names of the options that may follow the model's in a spec, `model:NAME?OPTION=VALUE`. */
  readonly options: readonly string[];
  /** The device that a guest still sees after the model's process was killed. */
  remains(): Promise<DeviceRemains>;
  /**
   * Runs in the main thread, the only one that can start more threads, before a client connects.
   * @throws Error if an option's value is invalid, or the device can't work on this machine
   */
  prepare(setup: ModelSetup): Promise<PreparedModel<Data>>;
  /** Loads the device's code in the message thread, while `prepare` runs. */
  load(): Promise<CreateDevice<Data>>;
}

/** A device whose registers read as all ones. */
export interface DeviceRemains extends Pick<DeviceModel, "config" | "msiVectors" | "msixVectors"> {
  readonly config: ConfigSpaceModel;
  /** BAR 0 to 5; 0 for none. */
  readonly barBytes: readonly number[];
}

/** What a model is prepared with. */
export interface ModelSetup {
  readonly options: URLSearchParams;
  /** Tells people in one line what takes long, or works worse than it could. */
  notice(line: string): void;
  /** Ends the model on a fatal failure, at any time. */
  fail(error: Error): void;
}

/** What a model prepared on the main thread of its process. */
export interface PreparedModel<Data = unknown> {
  /** What it works with, for people: e.g. a library's name and version. */
  readonly about: string;
  readonly data: Data;
  readonly transfer?: MessagePort[];
  /** Answers the device's messages to the main thread. */
  onAsk?(message: unknown): void;
  /** Ends its threads and closes its descriptors. A promise resolves when none of its threads uses the host's memory any more. */
  release(): void | Promise<void>;
}

/** Makes the device in the message thread. `ask` sends a message to the main thread's `onAsk`. */
export type CreateDevice<Data = unknown> = (
  host: Host,
  data: Data,
  ask: (message: unknown, transfer?: MessagePort[]) => void,
) => DeviceModel;

/** Loads the definition that a file exports. Throws Error if it exports none. */
export async function loadDefinition(file: string): Promise<ModelDefinition> {
  const { default: definition } = (await import(file)) as { readonly default?: ModelDefinition };
  if (typeof definition?.load !== "function")
    throw new Error(`${file} exports no device model; write export default defineModel({ ... })`);
  return definition;
}
