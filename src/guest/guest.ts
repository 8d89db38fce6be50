/** Boots a guest, which then runs commands until it is closed. */
import { chmodSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import { chooseAccelerator } from "./accelerator.ts";
import type { Arch } from "./arch.ts";
import { DEFAULT_KERNEL, fetchBun, fetchKernel, fetchPrograms, fetchQemu } from "./assets.ts";
import { backDevice } from "./backing.ts";
import { type Booted, type BootOptions, boot } from "./boot.ts";
import { commandRunner, type Runner, type RunOptions, type RunResult } from "./commands.ts";
import { areMixed, placeDevices, type QemuDevice } from "./devices.ts";
import { GuestError } from "./failure.ts";
import { openWorkFolder } from "./files.ts";
import { buildInitramfs } from "./initramfs.ts";
import { GUEST_MS, KVM_MS } from "./limits.ts";
import { type BootGuestOptions, checkInput, checkOptions } from "./options.ts";
import { openPlugger, type PluggedDevice } from "./plug.ts";
import { guestView, pathIn, projectOf } from "./project.ts";
import { type Disk, pciDevices } from "./qemu.ts";
import { quote } from "./quote.ts";
import { openScratchFolder } from "./scratch.ts";
import { serveShare } from "./share.ts";

/** What a guest is. */
export interface GuestFacts {
  readonly arch: Arch;
  readonly accelerator: "kvm" | "tcg";
  /** The kernel's release, as `uname -r` prints it. */
  readonly kernel: string;
}

/** A guest that has booted. `await using` closes it: QEMU and the devices' models end, and its files are removed. */
export interface Guest extends GuestFacts, AsyncDisposable {
  /** From QEMU's start until the guest ran commands. */
  readonly bootMs: number;
  /** Paths in the guest: the project, which is the commands' working directory, and the folder of put() and take(). */
  readonly project: string;
  readonly work: string;
  /** The path in the guest of a file of this machine's. Throws RangeError if the guest does not have it. */
  pathOf(file: string | URL): string;
  /**
   * Runs a command as root. Up to 8 run at the same time; more wait. An exit code other than 0 is no error. When the
   * command ends, what it left running keeps running, but has no more standard streams.
   * @param command program and arguments; the program is searched for on the guest's PATH, which includes bun
   * @throws GuestError if the guest ended, or, of kind "timed-out", if the command took longer than `timeoutMs`; the
   *   signal's reason; and what a sink or the input throws. In all of these cases the command's process group was killed,
   *   and the guest can run more commands unless it ended.
   */
  run(command: readonly string[], options?: RunOptions): Promise<RunResult>;
  /**
   * Plugs in a device, as a spec of BootGuestOptions.devices names it; resolves when the guest has it. A model's process starts
   * now and ends when the device is unplugged.
   * @throws OptionError if the spec can't work or no port is free (BootGuestOptions.hotplugPorts), and GuestError if QEMU refuses
   *   the device or the guest does not find it
   */
  plug(device: string): Promise<PluggedDevice>;
  /**
   * Copies a file or a folder into `work`. A pipe is read to its end. Returns the path in the guest.
   * @throws OptionError if it can't be copied, and Error if a folder of that name is there
   */
  put(path: string): Promise<string>;
  /**
   * Writes `path` from the regular file of the same base name in `work`.
   * @throws Error if there is none, or it can't be written
   */
  take(path: string): Promise<void>;
}

/** A guest as runGuest has it. */
export interface OpenGuest extends Omit<Guest, "take"> {
  readonly startMs: number;
  readonly runner: Runner;
  readonly terminalSocket: string;
  /** Returns why a file can't be taken. */
  take(path: string): Promise<string | undefined>;
}

const DEFAULT_MEMORY_MIB = 1024;

/**
 * Boots a guest with vfiokit and the project inside. Fetches the guest's assets on first use.
 * @throws GuestError if the guest does not boot, MissingToolError if this machine lacks a tool or package,
 *   OptionError if an option can't work (no such file or kernel, too little memory)
 */
export async function bootGuest(options: BootGuestOptions): Promise<Guest> {
  const guest = await openGuest(options, { timeoutOf: "boot" });
  return {
    ...guest,
    async take(path) {
      const reason = await guest.take(path);
      if (reason !== undefined) throw new Error(`${path}: ${reason}`);
    },
  };
}

export async function openGuest(
  options: BootGuestOptions,
  life: Pick<BootOptions, "timeoutOf" | "hasTerminal">,
): Promise<OpenGuest> {
  const { arch, inputs = [], log = () => {}, signal } = options;
  const memoryMib = options.memoryMib ?? DEFAULT_MEMORY_MIB;
  const devices = checkOptions({ ...options, memoryMib });
  const { tree, programs, kernel, bun } = await untilAborted(fetchAssets(options, log), signal);

  await using held = new AsyncDisposableStack();
  const { path: folder } = held.use(openScratchFolder());
  const initramfs = join(folder, "initramfs");
  writeFileSync(initramfs, Buffer.concat(buildInitramfs(arch, programs, kernel)));
  const view = guestView(projectOf(options.project ?? process.cwd()));
  const machine = {
    arch,
    iommu: options.iommu ?? true,
    memoryMib,
    cpus: options.cpus ?? Math.min(2, availableParallelism()),
    hugepages: options.hugepages ?? 0,
    reboots: options.reboots ?? false,
    hotplugPorts: options.hotplugPorts ?? 0,
    image: kernel.image,
    initramfs,
    trace: options.trace,
    shares: [{ name: "programs", path: programs }, { name: "bun", path: dirname(bun) }, ...view.folders],
  };

  /** Boots with a separate share, in which the guest finds its settings. */
  async function bootWith(
    accelerator: "kvm" | "tcg",
    name: string,
    devices: readonly QemuDevice[],
    disks: readonly Disk[],
    options: BootOptions,
  ): Promise<Booted> {
    const share = join(folder, name);
    const ports = join(folder, `${name}-ports`);
    for (const path of [join(share, "work"), ports]) mkdirSync(path, { recursive: true });
    const settings = {
      bun: basename(bun),
      folders: view.folders.map(({ name }) => name).join(" "),
      work: view.work,
      program: quote(view.program),
      link: view.link.path,
      target: view.link.target,
    };
    const lines = Object.entries(settings).map(([key, value]) => `${key}=${quote(value)}\n`);
    writeFileSync(join(share, "settings"), lines.join(""));
    let placed = devices;
    if (areMixed(devices)) {
      const names = new Set((await pciDevices(tree, arch)).flatMap(({ name, alias }) => [name, alias]));
      placed = placeDevices(devices, (name) => names.has(name));
    }
    const workSocket = join(folder, `${name}.sock`);
    await using served = new AsyncDisposableStack();
    served.use(await serveShare(tree, share, workSocket));
    const booted = served.use(
      await boot(tree, ports, { ...machine, accelerator, workSocket, disks, devices: placed }, options),
    );
    const both = served.move();
    return { ...booted, [Symbol.asyncDispose]: () => both.disposeAsync() };
  }

  const accelerator = await chooseAccelerator(arch, kernel.release, async () => {
    await using probe = await bootWith("kvm", "probe", [], [], {
      timeoutMs: KVM_MS,
      timeoutOf: "life",
      signal,
    });
    await commandRunner(probe)(["true"], { cwd: "/" });
  });
  log(`${arch} guest, Linux ${kernel.release}, ${accelerator.name.toUpperCase()}: ${accelerator.why}`);

  const work = join(folder, "guest", "work");
  mkdirSync(work, { recursive: true });
  chmodSync(work, 0o777); // for the guest's unprivileged user; here the folder around it is this user's alone
  const files = held.use(openWorkFolder(work, folder));
  for (const path of inputs) {
    if (statSync(path).isFIFO())
      log(`reading the pipe ${path} to its end; the guest has it as the file ${basename(path)}`);
    await untilAborted(files.put(path), signal);
  }
  const disks: Disk[] = [];
  const inOrder: QemuDevice[] = [];
  for (const [index, device] of devices.entries()) {
    const backed = held.use(await backDevice(device, folder, String(index), log));
    if (backed.disk) disks.push(backed.disk);
    inOrder.push(backed.device);
  }
  // What is plugged in ends after the guest, so this must be held before it.
  const plugged = held.use(new AsyncDisposableStack());
  const booted = held.use(
    await bootWith(accelerator.name, "guest", inOrder, disks, {
      ...options,
      timeoutMs: options.timeoutMs ?? GUEST_MS,
      ...life,
    }),
  );
  const bootMs = performance.now() - booted.startMs;
  const runner = commandRunner(booted);
  const { qmp, died } = booted;
  const plugger = plugged.use(openPlugger({ qmp, runner, folder, ports: machine.hotplugPorts, died, log }));
  const resources = held.move();
  return {
    arch,
    accelerator: accelerator.name,
    kernel: kernel.release,
    startMs: booted.startMs,
    bootMs,
    project: view.project,
    work: view.work,
    pathOf: (file) => pathIn(view, file),
    runner,
    terminalSocket: booted.terminalSocket,
    plug: plugger.plug,
    run: (command, options = {}) => runner(command, { ...options, cwd: options.cwd ?? view.project }),
    async put(path) {
      checkInput(path);
      return join(view.work, await files.put(path));
    },
    take: files.take,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function fetchAssets({ arch, kernel = DEFAULT_KERNEL }: BootGuestOptions, log: (line: string) => void) {
  // One after the other, so none is still running when another one has failed.
  const tree = await fetchQemu(log);
  const programs = await fetchPrograms(arch, log);
  return { tree, programs, kernel: await fetchKernel(arch, kernel, log), bun: await fetchBun(arch, log) };
}

/** Rejects on abort. The cache ensures that what was fetched by then is complete or absent. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(new GuestError("interrupted before the guest was started", "was interrupted"));
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
