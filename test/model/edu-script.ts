/** One conversation with an edu, QEMU's or ours: what is done, and the answers. */
import { DMA_DONE, openEdu } from "../../examples/edu/edu.ts";
import type { PciDevice } from "../../src/index.ts";

const WAIT_MS = 5000;

/** Each step's name and answers; the same for every edu. */
export function talkToEdu(device: PciDevice): [step: string, ...answers: (number | string)[]][] {
  const edu = openEdu(device);
  const { io } = edu;
  const said: [string, ...(number | string)[]][] = [];
  said.push(["ids", device.config.read32(0), device.config.read32(0x2c), device.config.read32(8) >>> 8]);
  said.push(["size", device.bars[0]!.sizeBytes]);
  said.push(["identity", edu.identity]);
  for (const value of [0, 1, 0x12345678, 0xffff_ffff]) {
    io.LIVENESS.write(value);
    said.push([`liveness ${value}`, io.LIVENESS.read()]);
  }
  for (const n of [0, 1, 5, 12, 13, 20]) said.push([`factorial ${n}`, edu.factorial(n)]);
  for (const value of [0xffff_ffff, 0]) {
    io.STATUS.write(value);
    said.push([`status ${value}`, io.STATUS.read()]);
  }
  device.bars[0]!.write32(0, 5);
  said.push(["identity is read-only", io.IDENTITY.read()]);

  const [msi] = device.enableInterrupts("msi", 1);
  for (const bits of [1, 0x8000_0000]) {
    io.INTERRUPT_RAISE.write(bits);
    said.push([`raise ${bits}`, msi!.wait(WAIT_MS), io.INTERRUPT_STATUS.read()]);
  }
  io.INTERRUPT_ACKNOWLEDGE.write(1);
  said.push(["acknowledge 1", io.INTERRUPT_STATUS.read()]);
  io.INTERRUPT_ACKNOWLEDGE.write(0xffff_ffff);
  said.push(["acknowledge all", io.INTERRUPT_STATUS.read(), msi!.take()]);
  io.STATUS.write(0x80);
  edu.factorial(4);
  said.push(["factorial's interrupt", msi!.wait(WAIT_MS), io.INTERRUPT_STATUS.read(), io.STATUS.read()]);
  io.INTERRUPT_ACKNOWLEDGE.write(1);

  using from = edu.allocate(4096);
  using to = edu.allocate(4096);
  from.bytes().set(Uint8Array.from({ length: 4096 }, (_, i) => (i * 7 + (i >> 8)) & 0xff));
  edu.store(from, 4096);
  edu.load(to, 4096, 1);
  said.push(["DMA's interrupt", msi!.wait(WAIT_MS), io.INTERRUPT_STATUS.read()]);
  io.INTERRUPT_ACKNOWLEDGE.write(DMA_DONE);
  said.push(["DMA", new Bun.CryptoHasher("md5").update(to.bytes()).digest("hex")]);
  said.push(["DMA's registers", io.DMA_COUNT.read(), io.DMA_SOURCE.read(), io.DMA_COMMAND.read()]);
  device.disableInterrupts("msi");
  return said;
}
