/** Tells whether a device is the endpoint, and what its interface has. */
import type { PciDevice } from "../../device/device.ts";
import { openRegisters, type Registers } from "../../registers/access.ts";
import { CHECK_MINOR, INTERFACE_MAJOR, MAGIC, registers, SETTINGS_MINOR } from "../contract/registers.ts";
import { EncoderError } from "./failure.ts";

/** An endpoint that a driver can drive. */
export interface Endpoint {
  readonly device: PciDevice;
  readonly registers: Registers<typeof registers>;
  /** Whether it takes a frame's quantizer, and a new bitrate while it runs. */
  readonly hasFrameControl: boolean;
  /** Whether its rings have CHECK. */
  readonly hasCheck: boolean;
}

const ALL_ONES = 0xffff_ffff;

/** Throws EncoderError, DeviceError. */
export function identify(device: PciDevice): Endpoint {
  const bar = device.bars[0];
  if (!bar?.sizeBytes) throw new EncoderError(`${device.spec}: it has no BAR0, so it is not the VP9 encoder`);
  const r = openRegisters(registers, bar);
  const magic = r.MAGIC.read();
  if (magic === ALL_ONES)
    throw new EncoderError(
      `${device.spec}: every register reads as all ones: the device has gone away, or its memory decode is off`,
    );
  if (magic !== MAGIC)
    throw new EncoderError(
      `${device.spec}: MAGIC reads 0x${magic.toString(16)}, not 0x${MAGIC.toString(16)}: this is not the VP9 encoder`,
    );
  const { MAJOR, MINOR } = r.VERSION.readFields();
  if (MAJOR !== INTERFACE_MAJOR)
    throw new EncoderError(
      `${device.spec}: its interface is ${MAJOR}.${MINOR}; this driver supports ${INTERFACE_MAJOR}`,
    );
  return {
    device,
    registers: r,
    hasFrameControl: MINOR >= SETTINGS_MINOR && r.CAPS.readFields().FRAME_CONTROL === 1,
    hasCheck: MINOR >= CHECK_MINOR,
  };
}
