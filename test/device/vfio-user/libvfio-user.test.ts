import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFds } from "../../os/open-fds.ts";
import { type Event, parseExchange, unpackBytes } from "./exchange.ts";
import { exchangePath, type SessionName, sessions } from "./session.ts";
import { headerOf } from "./wire.ts";

const recording = (name: SessionName) => parseExchange(readFileSync(exchangePath(name), "utf8"));

/** Runs a session against a replay of its recording; throws what the replayer has to say before all else. */
async function replay(name: SessionName): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "vfiokit-"));
  const socket = join(directory, "s");
  const replayer = Bun.spawn(
    [process.execPath, join(import.meta.dir, "replayer.ts"), socket, exchangePath(name)],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  try {
    await replayer.stdout.getReader().read();
    const before = openFds("self");
    let failure: unknown;
    try {
      sessions[name](`vfio-user:${socket}`, recording(name).source.alarmSeconds);
    } catch (error) {
      failure = error;
    }
    const after = openFds("self");
    const complaint = await new Response(replayer.stderr).text();
    if (complaint) throw new Error(complaint, { cause: failure });
    if (failure) throw failure;
    expect(await replayer.exited).toBe(0);
    expect(after).toBe(before);
  } finally {
    replayer.kill();
    rmSync(directory, { recursive: true });
  }
}

describe("The client sends byte for byte what libvfio-user took, and gets what it answered", () => {
  test("from samples/server: config space, BARs, sparse areas, INTx, DMA by memory and by message, reset", async () => {
    await replay("server");
  });

  test("from samples/gpio-pci-idio-16: accesses of all widths by message, posted writes done in order", async () => {
    await replay("gpio");
  });
});

describe("The recordings have all that the client can send", () => {
  const { events } = recording("server");
  const messages = (all: readonly Event[]) => all.flatMap((event) => ("message" in event ? [event] : []));
  const sent = messages(events).filter((event) => event.by === "client");

  test("each command, waited for or posted, and each kind of reply", () => {
    expect([...new Set(sent.map((event) => event.message))].sort()).toEqual([
      "DEVICE_GET_INFO",
      "DEVICE_GET_IRQ_INFO",
      "DEVICE_GET_REGION_INFO",
      "DEVICE_RESET",
      "DEVICE_SET_IRQS",
      "DMA_MAP",
      "DMA_UNMAP",
      "REGION_READ",
      "REGION_WRITE",
      "VERSION",
      "posted REGION_WRITE",
      "reply to DMA_READ",
      "reply to DMA_WRITE",
    ]);
    const everything = new Set(
      messages([...events, ...recording("gpio").events]).map((event) => event.message),
    );
    expect(everything.has("DMA_READ") && everything.has("DMA_WRITE")).toBe(true);
    expect(sent.every((event) => headerOf(unpackBytes(event.bytes)).errno === 0)).toBe(true);
  });

  const payloads = (message: string) =>
    sent
      .filter((event) => event.message === message)
      .map((event) => {
        const bytes = unpackBytes(event.bytes);
        return { view: new DataView(bytes.buffer, 16), fds: event.fds ?? [] };
      });

  test("a region's information asked for again with room for its capabilities", () => {
    const asked = payloads("DEVICE_GET_REGION_INFO").map(({ view }) => [
      view.getUint32(8, true),
      view.getUint32(0, true),
    ]);
    expect(asked).toEqual([0, 1, 1, 2, 3, 4, 5, 7].map((index, i) => [index, i === 2 ? 80 : 32]));
  });

  test("interrupts enabled with an eventfd each and disabled with none", () => {
    const [enable, disable] = [0x24, 0x21];
    expect(payloads("DEVICE_SET_IRQS").map(({ view, fds }) => [view.getUint32(4, true), fds.length])).toEqual(
      [
        [enable, 1],
        [enable, 1],
        [disable, 0],
        [enable, 1],
        [disable, 0],
      ],
    );
  });

  test("DMA memory mapped with a descriptor, unmapped alone and on dispose", () => {
    expect(payloads("DMA_MAP").map(({ fds }) => fds)).toEqual([
      ["memfd of 4096 bytes"],
      ["memfd of 8192 bytes"],
      ["memfd of 4096 bytes"],
    ]);
    expect(payloads("DMA_UNMAP")).toHaveLength(3);
  });

  test("posted writes, which the real server did at once, each where it was meant to go", () => {
    const landed = events.flatMap((event, i) => {
      if (!("message" in event) || event.message !== "posted REGION_WRITE") return [];
      const bytes = unpackBytes(event.bytes);
      const view = new DataView(bytes.buffer, 16);
      if (view.getUint32(8, true) !== 1) return [];
      const offset = Number(view.getBigUint64(0, true));
      const wrote = events[i + 1]!;
      if (!("wrote" in wrote) || wrote.by !== "server") throw new Error("the server wrote nothing");
      // Zeros over zeros are no change.
      const written = Buffer.from(bytes.subarray(32))
        .toString("hex")
        .replace(/(00)+$/, "");
      expect([wrote.at, Buffer.from(unpackBytes(wrote.bytes)).toString("hex")]).toEqual([offset, written]);
      return [view.getUint32(12, true)];
    });
    expect(landed).toEqual([8, 4, 2, 1, 16, 8, 16]);
  });
});
