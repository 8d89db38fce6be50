/** The verbs of a standalone binary. The others need a clone of the project. */
import { plugin } from "bun";
import type { verbNames } from "../cli/remedy.ts";

export interface Verb {
  /** Its description, for --help. */
  readonly about: string;
  /** Runs it on the process's arguments, from which its name was removed. */
  run(): Promise<unknown>;
}

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
  bind: { about: "Bind a device to vfio-pci or uio_pci_generic", run: () => import("../bind.ts") },
  release: { about: "Give a device back to the driver that it had", run: () => import("../release.ts") },
  rescan: { about: "Remove devices from the bus and find them again", run: () => import("../rescan.ts") },
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
  poke: { about: "Write registers, once and with the exact width", run: () => import("../poke.ts") },
  irq: { about: "Wait for interrupts, count them, measure latency", run: () => import("../irq.ts") },
  reset: { about: "Reset a device", run: () => import("../reset.ts") },
  model: {
    about: "Serve the encoder's software model over vfio-user",
    run: () => import("../model.ts"),
  },
} satisfies Record<(typeof verbNames)[number], Verb>;

/** A register table may be in a driver's file, which imports the library. If none is installed, it gets this one. */
function provideLibrary(): void {
  plugin({
    name: "vfiokit",
    setup(build) {
      build.module("vfiokit", async () => ({ exports: { ...(await import("vfiokit")) }, loader: "object" }));
    },
  });
}
