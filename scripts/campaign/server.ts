/** Sessions of clients that send anything to a served model. */
import { RegionIndex } from "../../src/protocol/vfio.ts";
import { type Campaign, type Counts, campaign, type Figures, type Rig } from "./campaign.ts";
import { openFiles } from "./open-files.ts";
import { residentKiB } from "./processes.ts";
import { RawClient } from "./raw-client.ts";
import { type ModelName, modelNames, models, ServedModel } from "./server/models.ts";
import { type Session, sessions } from "./server/operations.ts";
import { carryOutSession } from "./server/session.ts";
import { warmUp } from "./server/warm-up.ts";

/** How long the server may take to close what it opened for a session: on a busy machine a thread's end takes seconds. */
const CLOSE_MS = 10_000;
/** Each look is a client, of which the server's event loop has to tell: it must get to what it closes, too. */
const LOOK_MS = 20;

/** A server's lines about errors that no client may cause. */
const INTERNAL =
  /internal error|could not accept|(timer|create|a reset ends|descriptor woke) failed|(read of|write of 0x)\S* .*failed/;

interface Served {
  readonly model: ServedModel;
  /** The files that it has open while it serves a client that has asked for nothing. */
  readonly files: readonly string[];
}

class ServerRig implements Rig<Session> {
  readonly #served = new Map<ModelName, Served>();

  async run(session: Session): Promise<Counts> {
    const served = await this.#start(session.model);
    try {
      const counts = carryOutSession(served.model, session);
      checkServer(served);
      return counts;
    } catch (error) {
      // The runs that follow look for a shorter case: each needs a server in order.
      this.#served.delete(session.model);
      // What the server says of it comes a moment later.
      await Bun.sleep(200);
      const said = served.model.newLines();
      await served.model[Symbol.asyncDispose]();
      if (error instanceof Error && said) error.message += `\nthe server said:\n${said.trimEnd()}`;
      throw error;
    }
  }

  async #start(name: ModelName): Promise<Served> {
    const known = this.#served.get(name);
    if (known) return known;
    const model = await ServedModel.start(name);
    try {
      for (let i = 0; i < 3; i++) carryOutSession(model, warmUp(name));
      const served = { model, files: filesWhileServing(model) };
      this.#served.set(name, served);
      return served;
    } catch (error) {
      await model[Symbol.asyncDispose]();
      throw error;
    }
  }

  async figures(): Promise<Figures> {
    const figures: Record<string, number> = { "own descriptors": openFiles("self").length };
    for (const name of modelNames) {
      const { model } = await this.#start(name);
      figures[`${name}: descriptors`] = filesWhileServing(model).length;
      figures[`${name}: resident KiB`] = residentKiB(model.pid);
    }
    return figures;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#served.values()].map(({ model }) => model[Symbol.asyncDispose]()));
  }
}

/** The server is alive, serves a polite client, and has the files open that it had. Throws Error. */
function checkServer({ model, files }: Served): void {
  const before = files.toSorted().join("\n");
  let after = filesWhileServing(model).toSorted().join("\n");
  for (const deadlineMs = performance.now() + CLOSE_MS; after !== before; ) {
    if (performance.now() > deadlineMs)
      throw new Error(`the server had open:\n${before}\nand after the session:\n${after}`);
    Bun.sleepSync(LOOK_MS);
    after = filesWhileServing(model).toSorted().join("\n");
  }
  const said = model.newLines();
  if (INTERNAL.test(said)) throw new Error(`the server failed:\n${said.trimEnd()}`);
}

/** Throws Error if the server does not serve a polite client. */
function filesWhileServing(model: ServedModel): string[] {
  using client = new RawClient(model.connect());
  client.agree();
  const id = client.read32(RegionIndex.CONFIG, 0);
  if (id !== models[model.name].id)
    throw new Error(`the first word of configuration space is 0x${id.toString(16)}`);
  // Sockets and memory have numbers in their names, which differ from client to client.
  return openFiles(model.pid).map((file) => file.replace(/\d+/g, "N"));
}

/** The `server` campaign. */
export const serverCampaign: Campaign = campaign({
  name: "server",
  about: "clients send valid and invalid messages, descriptors, rings and half messages to a served model",
  runs: 10_000,
  limitMs: 60_000,
  cases: sessions,
  open: async () => new ServerRig(),
});
