/** The verbs of the command `vfiokit`. */
import { join } from "node:path";
import type { packageVerbNames, verbNames } from "../cli/remedy.ts";

export interface Verb {
  /** Its description, for --help. */
  readonly about: string;
  /** Runs it on the process's arguments, from which its name was removed. */
  run(): Promise<unknown>;
}

/** Verbs of a standalone binary. */
export const verbs: Readonly<Record<string, Verb>> = {
  encode: {
    about: "Encode raw video as VP9 on a PCIe encoder or its software model",
    run: () => import("../encode.ts"),
  },
  list: { about: "List PCI functions", run: () => import("../list.ts") },
  info: { about: "Decode a PCI function's configuration space", run: () => import("../info.ts") },
  doctor: {
    about: "Find what prevents driving a device, and how to repair it",
    run: () => import("../doctor.ts"),
  },
  bind: { about: "Bind devices to vfio-pci or uio_pci_generic", run: () => import("../bind.ts") },
  release: { about: "Give devices back to the drivers that they had", run: () => import("../release.ts") },
  rescan: { about: "Remove devices from the bus and find them again", run: () => import("../rescan.ts") },
  enable: {
    about: "Turn memory decode and bus mastering on, or off",
    run: () => import("../enable.ts"),
  },
  vf: { about: "Show, create and remove virtual functions (SR-IOV)", run: () => import("../vf.ts") },
  regs: {
    about: "Show a device's registers with names",
    run: () => import("../regs.ts"),
  },
  registers: {
    about: "Make a register table of IP-XACT or CMSIS-SVD",
    run: () => import("../registers.ts"),
  },
  peek: { about: "Read registers, once and with the exact width", run: () => import("../peek.ts") },
  poke: { about: "Write registers, once and with the exact width", run: () => import("../poke.ts") },
  config: { about: "Read and write configuration space by name", run: () => import("../config.ts") },
  irq: { about: "Wait for interrupts, count them, measure latency", run: () => import("../irq.ts") },
  reset: { about: "Reset a device", run: () => import("../reset.ts") },
  resize: { about: "Show and change the sizes of resizable BARs", run: () => import("../resize.ts") },
  setup: {
    about: "Let a group use devices without root, also after a reboot",
    run: () => import("../setup.ts"),
  },
  model: {
    about: "Serve a device model over vfio-user",
    run: () => import("../model.ts"),
  },
} satisfies Record<(typeof verbNames)[number], Verb>;

/** Verbs that need the package's files, so no standalone binary has them. */
export const packageVerbs: Readonly<Record<string, Verb>> = {
  guest: {
    about: "Boot a guest with devices of your choice and run a command in it",
    run: () => runFile("guest"),
  },
  build: {
    about: "Build vfiokit as one file, for machines without Bun",
    run: () => runFile("build"),
  },
} satisfies Record<(typeof packageVerbNames)[number], Verb>;

/** Imports a verb by a path that the bundler does not follow, so that a binary does not contain it. */
export const runFile = (name: string): Promise<unknown> => import(join(import.meta.dir, `../${name}.ts`));
