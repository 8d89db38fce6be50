/** Opens the encoder on a device. */
import { EndpointDriver } from "../driver/driver.ts";
import { Encoder } from "./encoder.ts";
import { oneOf, refuseUnknown } from "./encoder-config.ts";
import { FRAME_MS, RECOVER_MS, RECOVERIES } from "./limits.ts";
import { type EncoderOptions, optionNames } from "./options.ts";
import { OwnedDevice } from "./owned-device.ts";

/** The device that is opened by default. */
export const DEFAULT_DEVICE = "model:vp9";

/** Opens the encoder on a device. Throws TypeError, RangeError, DeviceError, EncoderError. */
export function openEncoder(options: EncoderOptions): Encoder {
  refuseUnknown("openEncoder's options", options, optionNames);
  oneOf("path", options.path, ["dma", "window"]);
  const { recover = RECOVERIES, recoverTimeoutMs = RECOVER_MS } = options;
  if (!Number.isInteger(recover) || recover < 0)
    throw new RangeError(`recover is ${recover}; it must be a whole number, 0 or more`);
  if (!(recoverTimeoutMs >= 0))
    throw new RangeError(`recoverTimeoutMs is ${recoverTimeoutMs}; it must be 0 or more`);
  if (typeof options.output !== "function")
    throw new TypeError("openEncoder needs output, a function that receives each chunk");
  const spec = options.device ?? DEFAULT_DEVICE;
  const { timeoutMs = FRAME_MS } = options;
  const owned = typeof spec === "string" ? new OwnedDevice(spec, timeoutMs, recoverTimeoutMs) : undefined;
  const device = typeof spec === "string" ? owned!.device : spec;
  try {
    const path = options.path ?? (device.hasDma ? "dma" : "window");
    return new Encoder({ ...options, path, recover }, new EndpointDriver(device, timeoutMs), owned);
  } catch (error) {
    owned?.[Symbol.dispose]();
    throw error;
  }
}
