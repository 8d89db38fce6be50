/** The faults that the endpoint's model can inject, to test a driver's recovery. */
import type { FaultKinds } from "../../model/fault-injection.ts";

export const faultKinds: FaultKinds<"drop-interrupt" | "stall" | "wedge" | "die" | "ones" | "corrupt"> = {
  event: "frame",
  kinds: {
    "drop-interrupt": { about: "frame N completes, but no interrupt says so" },
    stall: { about: "frame N and those after it complete MS milliseconds late", delays: true },
    wedge: { about: "from frame N on nothing completes, until a reset" },
    die: { about: "the model is killed when frame N would complete" },
    ones: {
      about:
        "from frame N on every register reads as all ones, as when the link is down, until the device is reset",
    },
    corrupt: { about: "frame N completes with a tag that was never submitted" },
  },
};
