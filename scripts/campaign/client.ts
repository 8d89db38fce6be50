/** Sessions of vfiokit's own client with a vfio-user server that misbehaves. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { record } from "fast-check";
import { POLLIN, poll } from "../../src/os/poll.ts";
import { acceptUnix, FdStream, listenUnix } from "../../src/os/socket.ts";
import { type Campaign, type Counts, campaign, type Figures, type Rig } from "./campaign.ts";
import { receiveText, sendText } from "./client/control.ts";
import { faultLists, type TimedFault } from "./client/faults.ts";
import { HostileServer } from "./client/hostile-server.ts";
import { type Report, type Script, scripts } from "./client/script.ts";
import { openFds } from "./open-files.ts";
import { residentKiB } from "./processes.ts";
import { Files } from "./server/files.ts";

/** How long a client may take to start. */
const START_MS = 20_000;
/** How long it may take for a script; each of its calls has a limit of its own. */
const SCRIPT_MS = 20_000;

interface ClientCase {
  readonly script: Script;
  readonly faults: readonly TimedFault[];
}

/** The client's process. */
interface Client extends Disposable {
  readonly child: Subprocess;
  readonly control: FdStream;
}

class ClientRig implements Rig<ClientCase> {
  readonly #folder = mkdtempSync(join(tmpdir(), "vfiokit-campaign-"));
  readonly #controls = listenUnix(join(this.#folder, "control"));
  readonly #listener = listenUnix(join(this.#folder, "server"));
  #client: Client | undefined;

  async run(one: ClientCase): Promise<Counts> {
    const client = this.#start();
    try {
      return await this.#serve(client, one);
    } catch (error) {
      // It may hang, or hold what it should not.
      client[Symbol.dispose]();
      await client.child.exited;
      this.#client = undefined;
      this.#sendAway();
      throw error;
    }
  }

  #start(): Client {
    if (this.#client) return this.#client;
    const program = join(import.meta.dir, "client/child.ts");
    const sockets = ["control", "server"].map((name) => join(this.#folder, name));
    const child = Bun.spawn([process.execPath, program, ...sockets], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    if (!poll([{ fd: this.#controls.number, events: POLLIN }], START_MS)[0]) {
      child.kill("SIGKILL");
      throw new Error("the client does not start");
    }
    const control = new FdStream(acceptUnix(this.#controls));
    this.#client = {
      ...{ child, control },
      [Symbol.dispose]: () => {
        child.kill("SIGKILL");
        control[Symbol.dispose]();
      },
    };
    return this.#client;
  }

  /** Serves the client until it reports. Throws Error: what was wrong. */
  async #serve(client: Client, { script, faults }: ClientCase): Promise<Counts> {
    using held = new DisposableStack();
    const files = held.use(new Files());
    let server: HostileServer | undefined;
    sendText(client.control, JSON.stringify(script));
    for (const deadlineMs = performance.now() + SCRIPT_MS; ; ) {
      const source = server ? (server.ended ? undefined : server.fd) : this.#listener.number;
      const fds = [client.control.fd.number, ...(source === undefined ? [] : [source])];
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw new Error(`the client hangs: no report within ${SCRIPT_MS} ms`);
      const [isReported, isReady] = poll(
        fds.map((fd) => ({ fd, events: POLLIN })),
        leftMs,
      );
      if (isReported) break;
      if (!isReady) continue;
      if (server) server.serveOne();
      else server = held.use(new HostileServer(new FdStream(acceptUnix(this.#listener)), faults, files));
    }
    const text = receiveText(client.control, 1000);
    if (text === undefined) {
      await client.child.exited;
      throw new Error(`the client died: ${client.child.signalCode ?? `exit code ${client.child.exitCode}`}`);
    }
    const { outcomes, mistake } = JSON.parse(text) as Report;
    if (mistake !== undefined) throw new Error(mistake);
    if (server && server.wrongReads > 0 && !outcomes.DeviceError)
      throw new Error(`no call failed, although ${server.wrongReads} replies to reads were wrong`);
    this.#sendAway();
    const calls = Object.entries(outcomes).map(([name, count]) => [`calls: ${name}`, count]);
    return {
      sessions: 1,
      requests: server?.requests ?? 0,
      faults: server?.faults ?? 0,
      "answers to the server's requests": server?.answers ?? 0,
      ...Object.fromEntries(calls),
    };
  }

  /** Those that wait to be served, although their case is over. */
  #sendAway(): void {
    while (poll([{ fd: this.#listener.number, events: POLLIN }], 0)[0])
      acceptUnix(this.#listener)[Symbol.dispose]();
  }

  figures(): Figures {
    const { pid } = this.#start().child;
    return {
      "own descriptors": openFds("self"),
      descriptors: openFds(pid),
      mappings: readFileSync(`/proc/${pid}/maps`, "latin1").split("\n").length,
      "resident KiB": residentKiB(pid),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.[Symbol.dispose]();
    await this.#client?.child.exited;
    this.#controls[Symbol.dispose]();
    this.#listener[Symbol.dispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The `client` campaign. */
export const clientCampaign: Campaign = campaign({
  name: "client",
  about:
    "vfiokit's client opens and uses a device of a server that breaks the protocol, hangs up, or is slow",
  runs: 100_000,
  limitMs: 60_000,
  cases: record({ script: scripts, faults: faultLists }),
  open: async () => new ClientRig(),
});
