/** Mappings by VFIO: what test/bench/c/maps.c does. `bun maps.ts DEVICE`, which vfio-pci has. */
import { openDevice } from "../../../src/index.ts";
import { each } from "./each.ts";

using device = openDevice(process.argv[2] ?? "");
const mapAndUnmap = (sizeBytes: number) => () => device.allocateDma(sizeBytes)[Symbol.dispose]();
const figures = {
  "map and unmap 4 KiB": each(500, mapAndUnmap(4096)),
  "map and unmap 64 MiB": each(20, mapAndUnmap(64 * 1024 ** 2)),
};
console.log(JSON.stringify(figures));
