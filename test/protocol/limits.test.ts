import { expect, test } from "bun:test";
import { FdStream, SocketTimeout, socketPair } from "../../src/os/socket.ts";
import { MAX_CAPABILITIES, MAX_PAYLOAD_BYTES } from "../../src/protocol/limits.ts";
import { findCapability, VfioFormatError } from "../../src/protocol/vfio.ts";
import { Command, MessageStream, ProtocolError } from "../../src/protocol/vfio-user.ts";
import { pack } from "../model/rig.ts";

const header = (command: number, sizeBytes: number) => pack("22444", 0, command, sizeBytes, 0, 0);

/** Two ends of a connection. */
function connection() {
  const [one, other] = socketPair().map((fd) => new FdStream(fd)) as [FdStream, FdStream];
  return { messages: new MessageStream(one), peer: other };
}

test("a payload that is longer than any may be is not built, and not received", () => {
  const { messages, peer } = connection();
  using _peer = peer;
  using _stream = messages.stream;
  expect(() => messages.payload(MAX_PAYLOAD_BYTES + 1)).toThrow(RangeError);
  peer.send(header(Command.REGION_WRITE, 16 + MAX_PAYLOAD_BYTES + 1));
  expect(() => messages.receive(1000)).toThrow(ProtocolError);
});

test("a payload that does not follow its header is not waited for", () => {
  const { messages, peer } = connection();
  using _peer = peer;
  using _stream = messages.stream;
  peer.send(header(Command.REGION_WRITE, 32));
  const startMs = performance.now();
  expect(() => messages.receive(60_000, 50)).toThrow(SocketTimeout);
  expect(performance.now() - startMs).toBeWithin(45, 4000);
});

test("a list of more capabilities than a structure can have counts as one that loops", () => {
  const info = (links: number) => {
    const view = new DataView(new ArrayBuffer(32 + 8 * links));
    for (let i = 0; i < links; i++) {
      const at = 32 + 8 * i;
      view.setUint16(at, 2, true);
      view.setUint32(at + 4, i + 1 < links ? at + 8 : 0, true);
    }
    return view;
  };
  expect(findCapability(info(MAX_CAPABILITIES), 32, 32, 1)).toBeUndefined();
  expect(() => findCapability(info(MAX_CAPABILITIES + 1), 32, 32, 1)).toThrow(VfioFormatError);
});
