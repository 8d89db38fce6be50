/** The standby's side: a process that answers the client of a model that is gone. */
import { EventFd } from "../../os/eventfd.ts";
import { Fd } from "../../os/fd.ts";
import { Disconnected, FdStream } from "../../os/socket.ts";
import type { DeviceRemains } from "../definition.ts";
import type { BarModel, DeviceModel } from "../device-model.ts";
import { serve } from "../server.ts";

/**
 * Runs a standby: waits until the model is gone, then serves the client that it left until that disconnects.
 * `device` is what remains of the model's device.
 */
export function standBy(controlFd: number, device: DeviceRemains): void {
  const control = new FdStream(new Fd(controlFd));
  const word = new Uint8Array(new ArrayBuffer(1));
  let client: Fd | undefined;
  for (;;) {
    try {
      const [connection] = control.receive(word, -1);
      client?.[Symbol.dispose]();
      client = connection;
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error;
      break;
    }
  }
  if (!client) return;
  const gone: DeviceModel = {
    config: device.config,
    msiVectors: device.msiVectors,
    msixVectors: device.msixVectors ?? 0,
    bars: device.barBytes.map((sizeBytes) => (sizeBytes > 0 ? allOnes(sizeBytes) : undefined)),
    admit: () => {},
    reset: () => {},
    wakeups: [],
    nextTimeMs: () => Number.POSITIVE_INFINITY,
    onTime: () => {},
  };
  const log = (line: string) => console.error(`standing in for the model that ended: ${line}`);
  serve({ connection: client, agreed: true }, new EventFd(), () => gone, log);
}

function allOnes(sizeBytes: number): BarModel {
  return { kind: "registers", sizeBytes, read: (_, to) => void to.fill(0xff), write: () => {} };
}
