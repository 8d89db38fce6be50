/** A thread that gives each value of one word back in another, until it is told the last one: see ping-pong.ts. */
import { read32, write32 } from "../../../src/os/access.ts";

declare const self: Worker;

/** What the thread is sent first. */
export interface EchoOrder {
  /** Addresses of the words in this process. */
  readonly there: number;
  readonly back: number;
  /** The value that ends the thread. */
  readonly last: number;
}

self.onmessage = ({ data: { there, back, last } }: MessageEvent<EchoOrder>) => {
  self.postMessage("ready");
  for (let seen = 0; seen !== last; ) {
    const value = read32(there);
    if (value === seen) continue;
    seen = value;
    write32(back, value);
  }
};
