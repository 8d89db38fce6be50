/** A session after which a server has open what it keeps open for all later ones. */
import { IrqIndex, IrqSet } from "../../../src/protocol/vfio.ts";
import { Command } from "../../../src/protocol/vfio-user.ts";
import type { FileKind } from "./files.ts";
import type { ModelName } from "./models.ts";
import type { Operation, Session } from "./operations.ts";
import { RAM_BYTES } from "./work.ts";

const setIrqs = (flags: number, files: readonly FileKind[]): Operation => ({
  kind: "message",
  request: {
    command: Command.DEVICE_SET_IRQS,
    values: [20, flags, IrqIndex.REQ, 0, 1].map(BigInt),
    ...{ dataBytes: 0, fill: 0 },
  },
  header: {},
  ...{ cutBytes: 0, files, times: 1, field: 0, step: 0n },
});

/** Signals an eventfd, and encodes a frame if the model can. */
export function warmUp(model: ModelName): Session {
  const stream: Operation = {
    ...{ kind: "stream", space: "host", share: true, ringLog2: 1, settings: [], entries: [{}] },
    ...{ list: [], tails: [], commands: [], waitMs: 100, mappedBytes: RAM_BYTES },
  };
  return {
    model,
    version: { name: "plain" },
    operations: [
      setIrqs(IrqSet.DATA_EVENTFD | IrqSet.ACTION_TRIGGER, ["eventfd"]),
      setIrqs(IrqSet.DATA_NONE | IrqSet.ACTION_TRIGGER, []),
      ...(model === "vp9" ? [stream] : []),
    ],
    answers: [],
    pieceBytes: undefined,
    ending: { kind: "close" },
  };
}
