/**
 * The VP9 model inside this process, with the codec on a separate thread. A second process would double the time to start and
 * add messages. A model with faults to inject, which may end it, runs in a separate process.
 */
import { DeviceError, type PciDevice } from "../../src/device/device.ts";
import { useOneHeap } from "../../src/os/heap.ts";

const SPEC = /^model:vp9(?:\?codec=([^&]*))?$/;

let started: { readonly spec: string; readonly device: Promise<PciDevice> } | undefined;

/** Whether a spec names a model that runs in this process. */
export function isOwnModel(spec: string): boolean {
  return SPEC.test(spec);
}

/** Starts it for the next openOwnModel of the same spec, while this process loads the rest. */
export function startOwnModel(spec: string): void {
  if (started?.spec === spec) return;
  const device = open(spec);
  device.catch(() => {}); // openOwnModel reports it
  started = { spec, device };
}

/** Rejects with DeviceError. */
export function openOwnModel(spec: string): Promise<PciDevice> {
  startOwnModel(spec);
  return started!.device;
}

async function open(spec: string): Promise<PciDevice> {
  useOneHeap();
  const [{ openModel }, { default: model }] = await Promise.all([
    import("../../src/model/in-process.ts"),
    import("../../src/vp9/model/vp9.model.ts"),
  ]);
  const codec = SPEC.exec(spec)?.[1];
  const name = "model:vp9";
  try {
    return await openModel(model, {
      name,
      ...(codec !== undefined && { options: { codec: decodeURIComponent(codec) } }),
      log: (line) => console.error(`${name}: ${line}`),
    });
  } catch (error) {
    throw new DeviceError(`${name}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
