/** Opens the encoder on a device. */
import { openDevice } from "../../device/open.ts";
import { EndpointDriver } from "../driver/driver.ts";
import { Encoder } from "./encoder.ts";
import { oneOf, refuseUnknown } from "./encoder-config.ts";
import { type EncoderOptions, optionNames } from "./options.ts";

/** The device that is opened by default. */
export const DEFAULT_DEVICE = "model:vp9";

/** Opens the encoder on a device. Throws TypeError, RangeError, DeviceError, EncoderError. */
export function openEncoder(options: EncoderOptions): Encoder {
  refuseUnknown("openEncoder's options", options, optionNames);
  oneOf("path", options.path, ["dma", "window"]);
  const { recover = 0 } = options;
  if (!Number.isInteger(recover) || recover < 0)
    throw new RangeError(`recover is ${recover}; it must be a whole number, 0 or more`);
  if (typeof options.output !== "function")
    throw new TypeError("openEncoder needs output, a function that receives each chunk");
  const spec = options.device ?? DEFAULT_DEVICE;
  const { timeoutMs = 10_000 } = options;
  // Each frame costs a register write, the doorbell. Posted writes don't wait for a reply.
  const device = typeof spec === "string" ? openDevice(spec, { timeoutMs, postWrites: true }) : spec;
  const owned = typeof spec === "string" ? device : undefined;
  try {
    const path = options.path ?? (device.hasDma ? "dma" : "window");
    return new Encoder({ ...options, path }, new EndpointDriver(device, timeoutMs), owned);
  } catch (error) {
    owned?.[Symbol.dispose]();
    throw error;
  }
}
