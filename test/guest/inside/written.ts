/**
 * Two processes for the memory that a device keeps writing to: `written.ts drive SPEC PAGES` gives it memory and waits to be killed;
 * `written.ts take PAGES` takes as many huge pages as soon as they are free, and prints whether anybody writes to them.
 */
import { openDevice } from "../../../src/index.ts";
import { O_RDONLY, openFile } from "../../../src/os/fd.ts";
import { createHugeFile, fillHugeFile, HUGE_PAGE, mapHugePages } from "../../../src/os/huge-pages.ts";

const WATCH_MS = 1000;
const FILES = 100_000;
const [what, ...words] = process.argv.slice(2);
if (what === "drive") {
  const device = openDevice(words[0]!);
  // The kernel closes these after the memory's file and before the device's, which makes the moment in between longer.
  const between = Array.from({ length: FILES }, () => openFile("/dev/null", O_RDONLY));
  const memories = Array.from({ length: Number(words[1]) }, () => device.allocateDma(HUGE_PAGE));
  device.bars[0]!.write64(0, BigInt(memories[0]!.iova));
  while (memories[0]!.read32(0) !== 0xeeee_eeee) await Bun.sleep(1);
  console.log("written");
  await Bun.sleep(600_000);
  for (const file of between) file[Symbol.dispose]();
} else {
  const pages = Number(words[0]);
  const file = createHugeFile("taken");
  console.log("waiting");
  for (;;) {
    try {
      fillHugeFile(file, 0, pages);
      break;
    } catch {}
  }
  const memory = mapHugePages(
    file,
    Array.from({ length: pages }, (_, i) => i * HUGE_PAGE),
  );
  const view = memory.bytes();
  const startMs = performance.now();
  let written = false;
  while (performance.now() - startMs < WATCH_MS)
    for (let page = 0; page < pages; page++) written ||= view[page * HUGE_PAGE] !== 0;
  console.log(written ? "written to" : "left alone");
}
