/** The verbs of the command, and which of them a standalone binary has. */
import { join } from "node:path";
import { plugin } from "bun";

export interface Verb {
  /** What it does, for --help. */
  readonly about: string;
  /** Runs it on the process's arguments, in which its name no longer stands. */
  run(): Promise<unknown>;
}

/** Those of a standalone binary. */
export const verbs: Readonly<Record<string, Verb>> = {
  encode: {
    about: "Encode raw video as VP9 on a PCIe encoder, or on its software model",
    run: () => import("../encode.ts"),
  },
  list: { about: "List PCI functions", run: () => import("../list.ts") },
  info: { about: "Show what a PCI function says of itself", run: () => import("../info.ts") },
  doctor: {
    about: "Find what stands in the way of driving a device",
    run: () => import("../doctor.ts"),
  },
  bind: { about: "Give a device to vfio-pci or uio_pci_generic", run: () => import("../bind.ts") },
  release: { about: "Give it back to the driver that it had", run: () => import("../release.ts") },
  rescan: { about: "Take devices off the bus and find them anew", run: () => import("../rescan.ts") },
  enable: {
    about: "Turn memory decode and bus mastering on, or off",
    run: () => import("../enable.ts"),
  },
  regs: {
    about: "Show a device's registers with names",
    run: () => {
      provideLibrary();
      return import("../regs.ts");
    },
  },
  peek: { about: "Read registers, once and with the exact width", run: () => import("../peek.ts") },
  poke: { about: "Write them", run: () => import("../poke.ts") },
  irq: { about: "Wait for interrupts, count them, measure them", run: () => import("../irq.ts") },
  reset: { about: "Reset a device", run: () => import("../reset.ts") },
  model: {
    about: "Serve the encoder's software model over vfio-user",
    run: () => import("../model.ts"),
  },
};

/** Those that need the package's files beside them. */
export const packageVerbs: Readonly<Record<string, Verb>> = {
  guest: {
    about: "Boot a guest with devices of your choice and run a command in it",
    run: () => runFile("guest"),
  },
  build: {
    about: "Build vfiokit as one file, for machines without Bun",
    run: () => runFile("build"),
  },
};

/** Those that need a clone of the project. */
export const cloneVerbs: readonly string[] = ["bench", "docs"];

/** By a path that the bundler does not follow: a binary shall not contain it. */
export const runFile = (name: string): Promise<unknown> => import(join(import.meta.dir, `../${name}.ts`));

/** A register table may stand in a driver's file, which imports the library: where none is installed it gets this one. */
function provideLibrary(): void {
  plugin({
    name: "vfiokit",
    setup(build) {
      build.module("vfiokit", async () => ({ exports: { ...(await import("vfiokit")) }, loader: "object" }));
      build.module("vfiokit/registers", async () => ({
        exports: { ...(await import("vfiokit/registers")) },
        loader: "object",
      }));
    },
  });
}
