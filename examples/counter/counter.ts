/** The counter's driver. It runs on the model, in a guest, and on a card. */
import { openDevice, openRegisters, type PciDevice } from "vfiokit";
import { registers } from "./registers.ts";

/** Counts to a limit. Returns the count that the device wrote to memory. Throws if no interrupt comes within a second. */
export function countTo(device: PciDevice, limit: number): number {
  const { LIMIT, TARGET, CONTROL, STATUS } = openRegisters(registers, device.bars[0]!);
  using memory = device.allocateDma(4096);
  using done = device.enableInterrupts("msi", 1)[0]!;
  LIMIT.write(limit);
  TARGET.write(memory.iova);
  CONTROL.writeFields({ RUN: 1 });
  if (done.wait(1000) === 0) throw new Error("it did not say that it was done");
  STATUS.clear(1);
  return memory.read32(0);
}

if (import.meta.main) {
  using device = openDevice(process.argv[2] ?? "model:./counter.model.ts");
  console.log(countTo(device, 5));
}
