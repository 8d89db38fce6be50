/** Guests: how long until one runs a command, the next command's time, and VFIO inside one beside C. */
import { basename, join } from "node:path";
import { type Arch, arches } from "../../src/guest/arch.ts";
import type { BootGuestOptions } from "../../src/guest/options.ts";
import { bareBoot } from "./bare-boot.ts";
import type { BenchCase, Comparison, Metric } from "./case.ts";
import { ROOT } from "./checkout.ts";
import { outputOf, secondsUntil } from "./measure.ts";
import { compileTwin } from "./twins.ts";

type GuestDoor = typeof import("../../src/exports/guest.ts");
type Guest = Awaited<ReturnType<GuestDoor["bootGuest"]>>;

/** Time limit of a boot. */
const BOOT_MS = 120_000;
const TIMEOUT_MS = 60_000;
/** Commands in one round. */
const COMMANDS = 10;

const guestArches = Object.keys(arches) as Arch[];
const metric = (arch: Arch, unit: Metric["unit"], atMost: number, limit: string): Metric => ({
  name: `${arch} guest`,
  unit,
  bounds: "value",
  atMost,
  limit,
});

export const guestCases: readonly BenchCase[] = [
  {
    name: "guest-start",
    about: "bun run guest.ts -- echo x, until the x",
    theirs: "QEMU with the kernel alone",
    metrics: [
      metric("x86_64", "s", 4.25, "the kernel's boot"),
      metric("aarch64", "s", 3.1, "the kernel's boot"),
    ],
    prepare: prepareStart,
  },
  {
    name: "guest-command",
    about: "echo x in a guest that has booted",
    theirs: "echo x on the host",
    metrics: guestArches.map((arch) => metric(arch, "ms", 300, "starts of programs under emulation")),
    prepare: async () => prepareCommands(),
  },
  {
    name: "guest-maps",
    about: "mappings by VFIO in an x86-64 guest with an IOMMU",
    theirs: "C in the same guest",
    metrics: ["map and unmap 4 KiB", "map and unmap 64 MiB"].map((name) => ({
      name,
      unit: "us",
      bounds: "ratio",
      atMost: 1.3,
      limit: "the kernel pins and maps pages",
    })),
    prepare: prepareMaps,
  },
];

async function eachArch(measure: (arch: Arch) => Promise<number>): Promise<Record<string, number>> {
  const figures: Record<string, number> = {};
  for (const arch of guestArches) figures[`${arch} guest`] = await measure(arch);
  return figures;
}

async function prepareStart(folder: string): Promise<Comparison> {
  const bare = { x86_64: await bareBoot("x86_64", folder), aarch64: await bareBoot("aarch64", folder) };
  return {
    ours: (root) =>
      eachArch((arch) =>
        secondsUntil("x", [process.execPath, "run", "guest.ts", "--arch", arch, "--", "echo", "x"], {
          cwd: root,
        }),
      ),
    theirs: () => eachArch((arch) => bare[arch]()),
  };
}

/** Guests that boot at their first use, each with its checkout's vfiokit inside. */
function guestPool(options: Omit<BootGuestOptions, "arch" | "timeoutMs">) {
  const guests = new Map<string, Promise<Guest>>();
  return {
    of(root: string, arch: Arch): Promise<Guest> {
      const key = `${arch} ${root}`;
      const booted = guests.get(key) ?? bootFrom(root, { ...options, arch, timeoutMs: BOOT_MS });
      guests.set(key, booted);
      return booted;
    },
    async end() {
      for (const guest of await Promise.allSettled(guests.values()))
        if (guest.status === "fulfilled") await guest.value[Symbol.asyncDispose]();
    },
  };
}

async function bootFrom(root: string, options: BootGuestOptions): Promise<Guest> {
  const { bootGuest } = (await import(join(root, "src/exports/guest.ts"))) as GuestDoor;
  return await bootGuest(options);
}

/** A command's standard output. Throws Error with all that it said if it fails. */
async function saidBy(guest: Guest, command: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await guest.run(command, { timeoutMs: TIMEOUT_MS });
  if (exitCode !== 0) throw new Error(`${command.join(" ")} failed in the guest: ${stderr}${stdout}`);
  return stdout;
}

/** Milliseconds of one of several runs. */
async function eachRun(run: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  for (let i = 0; i < COMMANDS; i++) await run();
  return (performance.now() - startMs) / COMMANDS;
}

function prepareCommands(): Comparison {
  const guests = guestPool({ devices: [] });
  const command = ["echo", "x"];
  return {
    ours: (root) =>
      eachArch(async (arch) => {
        const guest = await guests.of(root, arch);
        return await eachRun(() => saidBy(guest, command));
      }),
    async theirs() {
      const ms = await eachRun(() => outputOf(command));
      return eachArch(async () => ms);
    },
    end: guests.end,
  };
}

const DEVICE = "0000:00:01.0";

/** The guest has a device of its own kernel's, so that no process here takes part. */
async function prepareMaps(folder: string): Promise<Comparison> {
  const binary = await compileTwin("maps", folder, ["-static"]);
  const guests = guestPool({ devices: ["edu"] });
  const groups = new WeakMap<Guest, string>();
  const ready = async (root: string) => {
    const guest = await guests.of(root, "x86_64");
    if (!groups.has(guest)) {
      await saidBy(guest, ["bun", "run", "bind.ts", DEVICE]);
      await guest.put(binary);
      const link = await saidBy(guest, ["readlink", `/sys/bus/pci/devices/${DEVICE}/iommu_group`]);
      groups.set(guest, basename(link.trim()));
    }
    return { guest, group: groups.get(guest)! };
  };
  return {
    async ours(root) {
      const { guest } = await ready(root);
      const program = guest.pathOf(join(root, "scripts/bench/programs/maps.ts"));
      return JSON.parse(await saidBy(guest, ["bun", program, DEVICE]));
    },
    async theirs() {
      const { guest, group } = await ready(ROOT);
      return JSON.parse(await saidBy(guest, [join(guest.work, basename(binary)), group]));
    },
    end: guests.end,
  };
}
