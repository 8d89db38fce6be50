/** The sides of a penalty: the host and a guest, each ready to encode one clip again and again. */
import { basename, join } from "node:path";
import { bootGuest, type GuestFacts } from "../../src/guest/guest.ts";
import { serveModel } from "../../src/model/hosting/served.ts";
import { bunProgram } from "../../src/os/bun-program.ts";
import type { EncodeReport } from "../../src/vp9/encoder/report.ts";
import "../../src/schemes.ts";
import { interrupted } from "../cli/interrupt.ts";
import { ROOT } from "./checkout.ts";
import { outputOf } from "./measure.ts";
import type { Side } from "./penalty-result.ts";

/** Where a guest has the clip: in its own memory, or in the folder that it shares with the host. */
export type InputPlace = "memory" | "share";

/** How a guest drives its device. The host's way is always DMA by vfio-user. */
export type Way = keyof typeof ways;

const ways = {
  vfio: { iommu: true, bind: [], options: ["--path=dma"] },
  physical: {
    iommu: false,
    bind: ["--driver", "uio_pci_generic"],
    options: ["--path=dma", "--dma=physical"],
  },
  window: { iommu: false, bind: undefined, options: ["--path=window"] },
} as const;

export interface PenaltySide extends AsyncDisposable {
  /** Undefined for the host. */
  readonly facts: GuestFacts | undefined;
  /** Encodes the clip, and writes a file of the host. Throws Error with what the command said if it fails. */
  encode(output: string): Promise<EncodeReport>;
}

export interface PenaltyJob {
  /** A file of the host. */
  readonly clip: string;
  readonly place: InputPlace;
  readonly way: Way;
  /** Options of encode.ts, without its device and the way to it. */
  readonly settings: readonly string[];
}

/** Half of it is for files. */
const MEMORY_MIB = 2048;
const BOOT_MS = 120_000;
const ENCODE_MS = 180_000;
const DEVICE = "00:01.0";

/** As in a guest, the model runs before the clock starts, and goes on. The host has its files in its cache. */
async function openHost({ clip, settings }: PenaltyJob): Promise<PenaltySide> {
  const model = await serveModel("model:vp9");
  const encode = bunProgram(join(ROOT, "scripts/encode.ts"));
  return {
    facts: undefined,
    async encode(output) {
      const words = [clip, ...settings, "--path=dma", `--device=${model.spec}`, "-o", output];
      return JSON.parse(await outputOf([...encode, ...words])) as EncodeReport;
    },
    [Symbol.asyncDispose]: () => model[Symbol.asyncDispose](),
  };
}

async function openGuest(arch: Exclude<Side, "host">, job: PenaltyJob): Promise<PenaltySide> {
  const { clip, place, settings } = job;
  const { iommu, bind, options } = ways[job.way];
  await using held = new AsyncDisposableStack();
  const guest = held.use(
    await bootGuest({
      arch,
      iommu,
      memoryMib: MEMORY_MIB,
      hugepages: 64,
      devices: ["model:vp9"],
      timeoutMs: BOOT_MS,
      signal: interrupted,
    }),
  );
  async function said(...command: string[]): Promise<string> {
    const limits = { timeoutMs: ENCODE_MS, signal: interrupted };
    const { exitCode, stdout, stderr } = await guest.run(command, { cwd: guest.work, ...limits });
    if (exitCode !== 0)
      throw new Error(`${command.join(" ")} failed in the ${arch} guest: ${stderr}${stdout}`);
    return stdout;
  }
  const shared = await guest.put(clip);
  const folder = place === "memory" ? "/tmp" : guest.work;
  if (place === "memory") await said("mv", shared, folder);
  if (bind) await said("bun", "run", "bind.ts", DEVICE, ...bind);
  const guestLife = held.move();
  return {
    facts: guest,
    async encode(output) {
      const name = basename(output);
      const [from, to] = [join(folder, basename(clip)), join(folder, name)];
      const words = [from, ...settings, ...options, "-o", to];
      const report = await said("bun", "run", "encode.ts", ...words);
      if (place === "memory") await said("cp", to, guest.work);
      await guest.take(output);
      return JSON.parse(report) as EncodeReport;
    },
    [Symbol.asyncDispose]: () => guestLife.disposeAsync(),
  };
}

/** Throws Error saying what is missing and how to get it. */
export const openSide = (side: Side, job: PenaltyJob): Promise<PenaltySide> =>
  side === "host" ? openHost(job) : openGuest(side, job);
