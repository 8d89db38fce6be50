/** model.ts --trust: memory is mapped that the client can take away again. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { Config } from "../../src/pci/config-offsets.ts";
import { Command } from "../../src/protocol/vfio-user.ts";
import { registers } from "../../src/vp9/contract/registers.ts";
import { looseMemfd, truncate } from "../os/loose-memfd.ts";
import { children } from "../vp9/encoder/rig.ts";
import { CommandCode, Rig, States } from "../vp9/model/stream-rig.ts";
import { pack, type RawClient, startServer, until } from "./rig.ts";

/** A stream that runs, with its rings in memory of this client's, at address 0. */
async function runOn(client: RawClient, fd: number): Promise<void> {
  const map = client.request(Command.DMA_MAP, pack("44888", 32, 3, 0, 0, 1 << 16), [fd]);
  expect(map.errno).toBe(0);
  client.write(7, Config.COMMAND, pack("2", 6));
  const values = {
    CODED_SIZE: 16 | (16 << 16),
    VISIBLE_SIZE: 16 | (16 << 16),
    FPS_NUM: 1,
    FPS_DEN: 1,
    TIMEBASE_NUM: 1,
    TIMEBASE_DEN: 1,
    CQ_LO: 4096,
    RING_LOG2: 4,
    COMMAND: CommandCode.START,
  } as const;
  for (const [name, value] of Object.entries(values))
    client.write(0, registers[name as keyof typeof values].offset, pack("4", value));
  await until("the stream to run", () => client.read32(0, registers.STATUS.offset) === States.RUNNING);
}

for (const options of [[], ["--standby"]])
  test(`a client that truncates its memory under a server that trusts it ends its own service, and the next one is served (${options.join() || "no standby"})`, async () => {
    await using server = await startServer("--codec=null", "--trust", ...options);
    for (let round = 0; round < 2; round++) {
      using client = server.connect().agree();
      using fd = looseMemfd("loose", 1 << 16);
      await runOn(client, fd.number);
      const [first] = children(server.pid);
      truncate(fd);
      client.send(
        Command.REGION_WRITE,
        new Uint8Array([...pack("844", registers.SQ_TAIL.offset, 0, 4), ...pack("4", 1)]),
      );
      await until("the serving process to be another one", () => {
        const [now] = children(server.pid);
        return now !== undefined && now !== first;
      });
    }
    {
      using device = server.open();
      using rig = new Rig(device);
      await rig.run();
      await rig.expectWorking();
    }
    server.kill("SIGTERM");
    expect(await server.exited).toBe(0);
    expect(existsSync(server.path)).toBe(false);
  }, 30_000);

test("a server that trusts its clients ends with its serving process, and the serving process with it", async () => {
  await using server = await startServer("--codec=null", "--trust");
  const [child] = children(server.pid);
  server.kill("SIGKILL");
  await server.exited;
  await until("the serving process to end", () => !existsSync(`/proc/${child}/exe`));

  await using second = await startServer("--codec=null", "--trust", "--fault=die@1");
  using device = second.open();
  const rig = new Rig(device);
  await rig.run();
  rig.submit();
  expect(await second.exited).toBe(1);
  expect(existsSync(second.path)).toBe(false);
}, 30_000);

test("what does not come up says why, as without --trust", async () => {
  await expect(startServer("--codec=null", "--trust", "--fault=nonsense")).rejects.toThrow(
    'unknown fault "nonsense"',
  );
});
