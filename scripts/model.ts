/** Serves a device model over vfio-user, in the foreground. */
import { defineCommand } from "citty";
import { faultForms, listFaultKinds } from "../src/model/fault-injection.ts";
import { startModel } from "../src/model/hosting/process.ts";
import { startTrustingModel } from "../src/model/hosting/trusting.ts";
import { parseModelSpec } from "../src/model/models.ts";
import { useOneHeap } from "../src/os/heap.ts";
import { automaticNames, codecNames } from "../src/vp9/codec/engine.ts";
import "../src/vp9/model/register.ts";
import { endpointFaultKinds } from "../src/vp9/model/faults.ts";
import { twoColumns } from "./cli/layout.ts";
import { wordError, wordMentions } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";

const codecs = ["auto", ...codecNames];
const VP9 = "model:vp9";

/** The model's spec: --codec and --fault are another way to say options of model:vp9. Throws UsageError for other models. */
function specOf({
  model = VP9,
  codec,
  fault,
}: Record<"model" | "codec" | "fault", string | undefined>): string {
  const spec = model.startsWith("model:") ? model : `model:${model}`;
  if (codec === undefined && fault === undefined) return spec;
  if (spec !== VP9)
    throw new UsageError(`--codec and --fault are options of ${VP9}; write those of ${spec} after its "?"`);
  const query = new URLSearchParams({ ...(codec && { codec }), ...(fault && { fault }) });
  return `${VP9}?${query}`;
}

const command = defineCommand({
  meta: {
    name: "model.ts",
    description: `Serve a device model over vfio-user until Ctrl-C: the PCIe VP9 encoder's, or one of your own
(docs/your-model.md).

Examples:
  bun run model.ts --socket /tmp/vp9.sock &
  bun run encode.ts --device vfio-user:/tmp/vp9.sock clip.y4m -o clip.webm
  bun run model.ts --socket /tmp/counter.sock ./counter.model.ts?period=5

Faults of the encoder's model to inject, as a list such as stall@3=200,die@10:
${twoColumns(listFaultKinds(endpointFaultKinds))}
${faultForms("frame")}`,
  },
  args: {
    model: {
      type: "positional",
      required: false,
      description: "The model: model:NAME or ./FILE.ts, with options after ? (default: model:vp9)",
    },
    socket: {
      type: "string",
      valueHint: "PATH",
      description: "Socket to create (mode 0600); removed at the end",
    },
    codec: {
      type: "enum",
      options: codecs,
      description: `The encoder's codec (default: auto, the first available of ${automaticNames.join(", ")}); bun run encode.ts --codec help shows what each is here`,
    },
    standby: {
      type: "boolean",
      default: false,
      description: "Keep a process that answers the client as a dead device if this one is killed",
    },
    trust: {
      type: "boolean",
      default: false,
      description:
        "Trust clients: also map memory that they can truncate (files that are not sealed memfds); truncating it ends the server for that client only",
    },
    fault: {
      type: "string",
      valueHint: "LIST",
      description: "The encoder's faults to inject (see above)",
    },
  },
  async run({ args }) {
    if (args.socket === undefined) {
      await say("error", wordMentions("model.ts needs --socket PATH, the socket to serve on"));
      process.exit(2);
    }
    let stop = (): void => process.exit(); // as long as it starts: a codec may have to be fetched
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop());
    useOneHeap();
    try {
      const model = await (args.trust ? startTrustingModel : startModel)({
        model: parseModelSpec(specOf(args)),
        clients: { socketPath: args.socket, standby: args.standby },
        log: (line) => void say("info", line),
        notice: (line) => void say("info", line),
      });
      stop = () => model.stop();
      void say(
        "info",
        `${model.title}${model.about && ` (${model.about})`} on vfio-user:${args.socket}; Ctrl-C ends it`,
      );
      await model.ended;
    } catch (error) {
      await say("error", wordError(error));
      process.exit(error instanceof UsageError ? 2 : 1);
    }
    process.exit();
  },
});

await runVerb(command, { required: ["socket"] });
