/** The faults that the endpoint's model can inject besides those of every model, to test a driver's recovery. */
import { allFaultKinds } from "../../model/common-faults.ts";
import type { FaultKinds } from "../../model/fault-injection.ts";

export const faultKinds = {
  event: "frame",
  kinds: {
    "drop-interrupt": { about: "frame N completes, but no interrupt says so" },
    stall: { about: "frame N and those after it complete MS milliseconds late", delays: true },
    slow: { about: "from frame N on the codec takes 100 times as long" },
    wedge: { about: "from frame N on nothing completes, until a reset" },
    "full-queue": { about: "from frame N on no further submission is taken, until a reset" },
    corrupt: { about: "frame N completes with a tag that was never submitted" },
    repeat: { about: "frame N completes twice" },
    swap: { about: "frame N completes after the one behind it" },
    "wrong-length": { about: "frame N completes with a length that its packet does not have" },
    "zero-length": { about: "frame N completes with an empty packet" },
    "codec-error": { about: "the codec fails on frame N" },
    "flip-completion": { about: "one bit of frame N's completion is wrong" },
    "flip-submission": { about: "one bit of the first submission read after frame N is wrong" },
  },
} as const satisfies FaultKinds<string>;

/** With those of every model. */
export const endpointFaultKinds: FaultKinds<string> = allFaultKinds(faultKinds);
