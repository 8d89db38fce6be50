/** Messages to the model in its process: what test/bench/c/messages.c does. */
import { join } from "node:path";
import { type Interrupt, openDevice, type PciDevice } from "../../../src/index.ts";
import { each } from "./each.ts";

/** us from a write to the interrupt that it causes. */
async function ring(wait: (interrupt: Interrupt) => number | Promise<number>): Promise<number> {
  using bell = openDevice(`model:${join(import.meta.dir, "bell.model.ts")}`, { postWrites: true });
  const [interrupt] = bell.enableInterrupts("msi", 1);
  let started = 0;
  for (let i = 0; i < RINGS * 1.1; i++) {
    if (i === Math.floor(RINGS / 10)) started = Bun.nanoseconds();
    bell.bars[0]!.write32(0, 1);
    const count = await wait(interrupt!);
    if (count !== 1) throw new Error(`${count} interrupts came for one write`);
  }
  return (Bun.nanoseconds() - started) / RINGS / 1000;
}

const RINGS = 2000;
const SPEC = "model:vp9?codec=null";
/** BITRATE, which takes any value: docs/encoder.md. */
const REGISTER = 0x0a0;

const mapAndUnmap = (device: PciDevice, sizeBytes: number) => () =>
  device.allocateDma(sizeBytes)[Symbol.dispose]();

using device = openDevice(SPEC);
using posting = openDevice(SPEC, { postWrites: true });
const [registers, posted] = [device.bars[0]!, posting.bars[0]!];
const WRITES = 20_000;
const figures = {
  read: each(5000, () => registers.read32(REGISTER)),
  write: each(5000, () => registers.write32(REGISTER, 1000)),
  "posted write": each(1, () => {
    for (let i = 0; i < WRITES; i++) posted.write32(REGISTER, i + 1);
    if (posted.read32(REGISTER) !== WRITES) throw new Error("a posted write is lost");
  }),
  "write to interrupt, blocking": await ring((interrupt) => interrupt.wait(1000)),
  "write to interrupt, async": await ring((interrupt) => interrupt.waitAsync(1000)),
  "map and unmap 4 KiB": each(500, mapAndUnmap(device, 4096)),
  "map and unmap 64 MiB": each(50, mapAndUnmap(device, 64 * 1024 ** 2)),
};
console.log(JSON.stringify({ ...figures, "posted write": figures["posted write"] / WRITES }));
