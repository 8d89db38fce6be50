/** A thread that gives each value of one word back in another, until it is told LAST: see ping-pong.ts. */
import { read32, write32 } from "../../../src/os/access.ts";
import { type EchoWords, LAST } from "./ping-pong.ts";

declare const self: Worker;

self.onmessage = ({ data: { there, back } }: MessageEvent<EchoWords>) => {
  self.postMessage("ready");
  for (let seen = 0; seen !== LAST; ) {
    const value = read32(there);
    if (value === seen) continue;
    seen = value;
    write32(back, value);
  }
};
