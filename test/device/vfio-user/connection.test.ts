import { expect, test } from "bun:test";
import { DeviceError } from "../../../src/device/device.ts";
import { Connection } from "../../../src/device/vfio-user/connection.ts";
import { FdStream, socketPair } from "../../../src/os/socket.ts";
import { Command, MessageStream } from "../../../src/protocol/vfio-user.ts";

test("a server that sends request after request does not extend the time limit of the reply that it owes", () => {
  const [ours, theirs] = socketPair();
  const server = new MessageStream(new FdStream(theirs));
  using _theirs = server.stream;
  const requests = 50;
  const message = (command: number, reply: boolean) =>
    server.send({ id: 0, command, reply, noReply: !reply, errno: 0 }, 0);
  for (let i = 0; i < requests; i++) message(Command.DMA_READ, false);
  message(Command.DEVICE_RESET, true);
  let served = 0;
  const serve = () => {
    served++;
    Bun.sleepSync(10);
    return { payloadBytes: 0 };
  };
  using connection = new Connection(ours, "vfio-user:test", serve, 100);
  expect(() => connection.request(Command.DEVICE_RESET, 0)).toThrow(
    new DeviceError(
      "vfio-user:test: no answer to DEVICE_RESET within 100 ms; the server hangs, is serving another client, or is not a vfio-user server",
    ),
  );
  expect(served).toBeLessThan(requests);
});
