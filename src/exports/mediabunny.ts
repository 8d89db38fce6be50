/** vfiokit/mediabunny: mediabunny encodes VP9 with a card, or with its software model. */
import "../os/bun-version.ts";
import "../schemes.ts";
import "./globals.ts";

export { DeviceError } from "../device/device.ts";
export { EncoderError } from "../vp9/driver/failure.ts";
export { type MediabunnyOptions, registerVfiokitEncoder } from "../vp9/encoder/mediabunny.ts";
