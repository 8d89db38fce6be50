/** `model:NAME` as a device for openDevice: a model in its own child process. */
import { DeviceError } from "../device/device.ts";
import type { DeviceScheme } from "../device/schemes.ts";
import { openVfioUser } from "../device/vfio-user/client.ts";
import { Disconnected } from "../os/socket.ts";
import { modelReady, takeModel } from "./hosting/child-process.ts";
import { FIRST_ANSWER_MS } from "./limits.ts";

/** For registerScheme. `example`: a spec and what it opens, for messages. Models come from registerModel. */
export const modelScheme = (example: string): DeviceScheme => ({
  name: "model",
  example,
  ready: modelReady,
  open(spec, options) {
    const socket = takeModel(spec);
    try {
      return openVfioUser(socket, spec, options, FIRST_ANSWER_MS);
    } catch (error) {
      if (!(error instanceof DeviceError && error.cause instanceof Disconnected)) throw error;
      throw new DeviceError(`${spec}: the model ended while it started; the line above says why`, {
        cause: error,
      });
    }
  },
});
