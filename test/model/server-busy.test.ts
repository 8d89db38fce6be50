/** The model while its codec has a frame that takes it half a minute: noise of 3072x3072, at the slowest speed. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import type { PciDevice } from "../../src/device/device.ts";
import { openDevice } from "../../src/index.ts";
import { Command } from "../../src/protocol/vfio-user.ts";
import { children } from "../vp9/encoder/rig.ts";
import { CommandCode, noise, Place, Rig, States } from "../vp9/model/stream-rig.ts";
import { mappings, pack, startServer, until } from "./rig.ts";

const SIDE = 3072;
const FRAME_BYTES = SIDE * SIDE * 1.5;
const picture = noise(FRAME_BYTES, 1);

/** Starts the stream, which takes the codec seconds, too; submits the frame and waits until the codec works on it. */
async function occupy(pid: number, device: PciDevice): Promise<Rig> {
  const rig = new Rig(device, { memoryBytes: Place.FRAME + 2 * FRAME_BYTES });
  rig.frameBytes = FRAME_BYTES;
  rig.put(Place.FRAME, picture);
  const size = SIDE | (SIDE << 16);
  rig.setUp({ CODED_SIZE: size, VISIBLE_SIZE: size, SPEED: 0 });
  rig.regs.COMMAND.write(CommandCode.START);
  while (rig.regs.STATUS.read() === States.STARTING) await Bun.sleep(10);
  expect(rig.regs.STATUS.read()).toBe(States.RUNNING);
  const before = ticks(pid);
  rig.submit({ output: rig.iova(Place.FRAME + FRAME_BYTES), outputBytes: FRAME_BYTES });
  await until("the codec to be busy", () => ticks(pid) > before + 10);
  return rig;
}

/** Processor time of a process, in hundredths of a second. */
function ticks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

async function expectEncodes(device: PciDevice): Promise<void> {
  using rig = new Rig(device);
  await rig.run();
  await rig.expectWorking();
}

test("RESET gets a codec at once, and so does the next client; the frame's memory is held until the codec is done with it", async () => {
  await using server = await startServer("--codec=libvpx");
  {
    using device = server.open();
    const rig = await occupy(server.pid, device);
    rig[Symbol.dispose](); // RESET, and its memory is unmapped
    expect(mappings(server.pid, "vfiokit-dma")).toBe(1);
    await expectEncodes(device);
    await occupy(server.pid, device);
  }
  using next = server.open();
  await expectEncodes(next);
  expect(mappings(server.pid, "vfiokit-dma")).toBe(2);
  expect(server.stopped()).toBe(false);
}, 120_000);

test("SIGTERM ends the model although the codec works, and its socket is gone", async () => {
  await using server = await startServer("--codec=libvpx");
  using device = server.open();
  await occupy(server.pid, device);
  server.kill("SIGTERM");
  await until("the model to end", () => server.stopped());
  expect(await server.exited).toBe(0);
  expect(existsSync(server.path)).toBe(false);
}, 120_000);

test("a model ends with its parent although the codec works", async () => {
  const device = openDevice("model:vp9?codec=libvpx");
  const pid = await until("the model", () => children()[0]);
  await occupy(pid, device);
  device[Symbol.dispose]();
  await until("the model to end", () => children().length === 0);
}, 120_000);

test("SIGTERM ends the model although a client has stopped in the middle of a message", async () => {
  await using server = await startServer("--codec=null", "--standby");
  using client = server.connect().agree();
  client.stream.send(pack("22", 0, Command.DEVICE_RESET));
  await Bun.sleep(100); // the server has taken what there is
  server.kill("SIGTERM");
  await until("the model to end", () => server.stopped());
  expect(await server.exited).toBe(0);
  expect(existsSync(server.path)).toBe(false);
  expect(client.dropped()).toBe(true);
}, 30_000);
