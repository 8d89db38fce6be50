/** When the driver lets one interrupt tell of several completions: IRQ_MODERATION. */
import type { Registers } from "../../registers/access.ts";
import type { registers } from "../contract/registers.ts";

/** With fewer slots the device could run out of frames before the driver hears that it may submit more. */
const LEAST_SLOTS = 8;
/** So many times in a row the device must have all frames that it has room for. */
const SATURATED_WAITS = 32;
/** An interrupt for a quarter of the slots: the device works on the others until the driver has refilled them. */
const SLOTS_SHARE = 4;
/** How long a completion waits for others. */
const TIME_US = 2000;

/**
 * Moderates interrupts while frames wait for the device. As soon as the device waits for frames, as with a camera, each
 * completion interrupts at once.
 */
export class Moderation {
  readonly #registers: Registers<typeof registers>;
  readonly #able: boolean;
  #active = false;
  #saturatedWaits = 0;

  constructor(io: Registers<typeof registers>) {
    this.#registers = io;
    this.#able = io.CAPS.readFields().MODERATION === 1;
  }

  /** A wait for a completion ended while the device had this many frames; none before a stream's first. Throws DeviceError. */
  waited(framesUnderWay: number, slots: number): void {
    if (!this.#able) return;
    this.#saturatedWaits = framesUnderWay === slots && slots >= LEAST_SLOTS ? this.#saturatedWaits + 1 : 0;
    if (this.#active === this.#saturatedWaits >= SATURATED_WAITS) return;
    this.#active = !this.#active;
    const wanted = { COUNT: Math.floor(slots / SLOTS_SHARE), TIME_US };
    this.#registers.IRQ_MODERATION.writeFields(this.#active ? wanted : { COUNT: 0, TIME_US: 0 });
  }
}
