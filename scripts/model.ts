/** Serves the VP9 encoder endpoint over vfio-user, in the foreground. */
import { defineCommand } from "citty";
import { listFaultKinds } from "../src/model/fault-injection.ts";
import { startModel } from "../src/model/hosting/process.ts";
import { startTrustingModel } from "../src/model/hosting/trusting.ts";
import { parseModelSpec } from "../src/model/models.ts";
import { codecNames } from "../src/vp9/codec/engine.ts";
import "../src/vp9/model/register.ts";
import { faultKinds } from "../src/vp9/model/faults.ts";
import { twoColumns } from "./cli/layout.ts";
import { wordError, wordMentions } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";

const codecs = ["auto", ...codecNames];

const command = defineCommand({
  meta: {
    name: "model.ts",
    description: `Serve the PCIe VP9 encoder's software model over vfio-user until Ctrl-C.

Example:
  bun run model.ts --socket /tmp/vp9.sock &
  bun run encode.ts --device vfio-user:/tmp/vp9.sock clip.y4m -o clip.webm

Faults to inject, as a list such as stall@3=200,die@10:
${twoColumns(listFaultKinds(faultKinds))}`,
  },
  args: {
    socket: {
      type: "string",
      valueHint: "PATH",
      description: "Socket to create (mode 0600); removed at the end",
    },
    codec: {
      type: "enum",
      options: codecs,
      default: "auto",
      description: "auto: libvpx, else debian, downloaded once, else libav.js, slow",
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
      description: "Faults to inject (see above)",
    },
  },
  async run({ args }) {
    if (args.socket === undefined) {
      await say("error", wordMentions("model.ts needs --socket PATH, the socket to serve on"));
      process.exit(2);
    }
    let stop = (): void => process.exit(); // as long as it starts: a codec may have to be fetched
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop());
    try {
      const query = new URLSearchParams({ codec: args.codec });
      if (args.fault !== undefined) query.set("fault", args.fault);
      const model = await (args.trust ? startTrustingModel : startModel)({
        model: parseModelSpec(`model:vp9?${query}`),
        clients: { socketPath: args.socket, standby: args.standby },
        log: (line) => void say("info", line),
        notice: (line) => void say("info", line),
      });
      stop = () => model.stop();
      void say("info", `${model.title} (${model.about}) on vfio-user:${args.socket}; Ctrl-C ends it`);
      await model.ended;
    } catch (error) {
      await say("error", wordError(error));
      process.exit(1);
    }
    process.exit();
  },
});

await runVerb(command, { required: ["socket"] });
