/**
 * Drives devices by each of some ways, in the machine where it runs: `ways.ts CLIP WAY...`. A way is "NAME=SPEC,SPEC,SPEC": those of
 * edu, nvme and the encoder; "-" for none. Prints a line of JSON for each: { way, device, result }.
 */

import { identify } from "../../../docs/drivers/nvme.ts";
import { openEdu } from "../../../examples/edu/edu.ts";
import { openDevice, type PciDevice } from "../../../src/index.ts";
import { openModel } from "../../../src/model/in-process.ts";
import "../../../src/schemes.ts";
import { join } from "node:path";

const encode = join(import.meta.dir, "../../../scripts/encode.ts");
const [clip = "", ...ways] = process.argv.slice(2);

/** A model runs in this process, as encode.ts runs the encoder's. */
async function open(spec: string): Promise<PciDevice> {
  if (!spec.startsWith("model:")) return openDevice(spec);
  const { default: definition } = await import(spec.slice("model:".length));
  return openModel(definition, { log: () => {} });
}

/** Both ways through its DMA unit, or its registers where there is no DMA. */
async function driveEdu(spec: string): Promise<string> {
  using device = await open(spec);
  const edu = openEdu(device);
  if (edu.factorial(10) !== 3_628_800) throw new Error(`10! is ${edu.factorial(10)}`);
  if (!device.hasDma) return `registers, ${device.reachedBy}`;
  using from = device.allocateDma(4096, { addressBits: 32 });
  using to = device.allocateDma(4096, { addressBits: 32 });
  from.bytes().set(Uint8Array.from({ length: 4096 }, (_, i) => (i * 7 + (i >> 8)) & 0xff));
  edu.store(from, 4096);
  edu.load(to, 4096);
  if (!Buffer.from(from.bytes(0, 4096)).equals(Buffer.from(to.bytes(0, 4096))))
    throw new Error("other bytes");
  return `DMA, ${device.reachedBy}`;
}

async function driveNvme(spec: string): Promise<string> {
  using device = await open(spec);
  return `${identify(device).model}, ${device.reachedBy}`;
}

/** The sum of what it encodes. */
async function driveEncoder(spec: string, way: string): Promise<string> {
  const output = `${way.replaceAll(/\W/g, "-")}.ivf`;
  const words = [
    encode,
    clip,
    "--device",
    spec,
    "--frames",
    "10",
    "--bitrate",
    "4000",
    "--quiet",
    "-o",
    output,
  ];
  const child = Bun.spawn([process.execPath, ...words], { stderr: "pipe" });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(said.trim());
  return Bun.CryptoHasher.hash("sha256", await Bun.file(output).bytes(), "hex");
}

for (const way of ways) {
  const [, name = "", specs = ""] = /^([^=]*)=(.*)$/.exec(way) ?? [];
  const drivers = { edu: driveEdu, nvme: driveNvme, encoder: driveEncoder };
  for (const [i, [device, drive]] of Object.entries(drivers).entries()) {
    const spec = specs.split(",")[i]!;
    if (spec === "-") continue;
    let result: string;
    try {
      result = await drive(spec, name);
    } catch (error) {
      result = `failed: ${error instanceof Error ? error.message : String(error)}`;
    }
    console.log(JSON.stringify({ way: name, device, result }));
  }
}
