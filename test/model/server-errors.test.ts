/** A device model with faults of its own, served in this process: what was sent before lies in the sockets. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import type { DeviceModel, RegisterBar } from "../../src/model/device-model.ts";
import { serve } from "../../src/model/server.ts";
import { EventFd } from "../../src/os/eventfd.ts";
import { connectUnix, listenUnix, socketPair } from "../../src/os/socket.ts";
import { Config } from "../../src/pci/config-offsets.ts";
import { Command } from "../../src/protocol/vfio-user.ts";
import { modelConfigSpace } from "../vp9/endpoint-config.ts";
import { pack, RawClient, sendWithFds, tempFolder } from "./rig.ts";

const modelConfig = await modelConfigSpace();

/** A model of one register; all handlers do nothing. */
function model(faults: Partial<DeviceModel> & { read?: RegisterBar["read"] } = {}): DeviceModel {
  return {
    config: modelConfig,
    msiVectors: 1,
    bars: [
      {
        kind: "registers",
        sizeBytes: 4096,
        read: faults.read ?? ((_, to) => void to.set([7])),
        write: () => {},
      },
    ],
    admit: () => {},
    reset: () => {},
    wakeups: [],
    nextTimeMs: () => Number.POSITIVE_INFINITY,
    onTime: () => {},
    ...faults,
  };
}

/** VERSION, memory decode on, and a read of the register. */
function sendAccess(client: RawClient): void {
  client.send(Command.VERSION, pack("22", 0, 0));
  client.send(Command.REGION_WRITE, new Uint8Array([...pack("844", Config.COMMAND, 7, 2), 2, 0]));
  client.send(Command.REGION_READ, pack("844", 0, 0, 4));
}

test("an error that nobody expected while a message is handled costs that client its connection, and the next one is served", () => {
  using folder = tempFolder();
  using listener = listenUnix(join(folder.path, "socket"));
  const [first, second] = [0, 1].map(() => new RawClient(connectUnix(join(folder.path, "socket"))));
  using one = first!;
  using two = second!;
  sendAccess(one);
  sendAccess(two);
  using stop = new EventFd();
  const lines: string[] = [];
  let reads = 0;
  const read = (_offset: number, to: Uint8Array) => {
    if (reads++ === 0) throw new TypeError("nobody thought of this");
    stop.signal();
    to.set([0x34, 0x12]);
  };
  serve(
    { listener },
    stop,
    () => model({ read }),
    (line) => void lines.push(line),
  );
  expect([one.receive().errno, one.receive().errno]).toEqual([0, 0]);
  expect(one.dropped()).toBe(true);
  expect([two.receive().errno, two.receive().errno]).toEqual([0, 0]);
  expect(two.receive().payload.getUint32(16, true)).toBe(0x1234);
  expect(lines).toEqual([
    "a client connected",
    expect.stringMatching(
      /^dropped the client: internal error of the model: TypeError: nobody thought of this\n +at /,
    ),
    "a client connected",
  ]);
});

test("so does one in what the model does when it is woken, or when its time has come", () => {
  for (const cause of ["wakeup", "time"] as const) {
    const [ours, theirs] = socketPair();
    using client = new RawClient(theirs);
    client.send(Command.VERSION, pack("22", 0, 0));
    using bell = new EventFd();
    bell.signal();
    const fail = () => {
      bell.take();
      throw new RangeError(`no ${cause}`);
    };
    const lines: string[] = [];
    serve(
      { connection: ours },
      new EventFd(),
      () =>
        cause === "wakeup"
          ? model({ wakeups: [{ fd: bell.fd.number, onReadable: fail }] })
          : model({ nextTimeMs: () => 0, onTime: fail }),
      (line) => void lines.push(line),
    );
    expect(client.dropped()).toBe(true);
    expect(lines).toEqual([expect.stringContaining(`internal error of the model: RangeError: no ${cause}`)]);
  }
});

test("a client that breaks the protocol while the model waits for its memory is told apart from a fault of the model", () => {
  const [server, peer] = socketPair();
  using client = new RawClient(peer);
  using event = new EventFd();
  const lines: string[] = [];
  client.send(Command.VERSION, pack("22", 0, 0));
  client.send(Command.REGION_WRITE, new Uint8Array([...pack("844", Config.COMMAND, 7, 2), 2, 0]));
  client.send(Command.DMA_MAP, pack("44888", 32, 3, 0n, 0n, 4096n));
  client.send(Command.REGION_READ, pack("844", 0, 0, 4));
  sendWithFds(
    client.stream.fd,
    pack("22444", 9, Command.DEVICE_RESET, 16, 0, 0),
    Array(17).fill(event.fd.number),
  );
  using stop = new EventFd();
  serve(
    { connection: server },
    stop,
    ({ dma }) => model({ read: (_, to) => void dma.read(0, to) }),
    (line) => lines.push(line),
  );
  expect(lines).toEqual(["dropped the client: the peer sent more than 16 file descriptors in one message"]);
});

test("a timer that is due in weeks does not keep the server busy", () => {
  const [server, peer] = socketPair();
  // The peer's end closes with it, which ends the server.
  Bun.spawn(["sleep", "0.2"], { stdio: [peer.number, "ignore", "ignore"] });
  peer[Symbol.dispose]();
  using stop = new EventFd();
  let turns = 0;
  const nextTimeMs = () => {
    turns++;
    return performance.now() + 2 ** 32;
  };
  serve(
    { connection: server },
    stop,
    () => model({ nextTimeMs }),
    () => {},
  );
  expect(turns).toBeLessThan(10);
});
