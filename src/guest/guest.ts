/** Boots a guest and runs one command in it. */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { serveModel } from "../model/hosting/served.ts";
import { chooseAccelerator } from "./accelerator.ts";
import type { Arch } from "./arch.ts";
import { DEFAULT_KERNEL, fetchBun, fetchKernel, fetchPrograms, fetchQemu } from "./assets.ts";
import { type BootOptions, type BootResult, boot, GuestError } from "./boot.ts";
import {
  areMixed,
  type GuestDevice,
  needsDisk,
  placeDevices,
  type QemuDevice,
  vfioUserDevice,
  withProperties,
} from "./devices.ts";
import { openWorkFolder, removeFolder } from "./files.ts";
import { buildInitramfs } from "./initramfs.ts";
import { checkOptions, type GuestOptions } from "./options.ts";
import { guestView, projectOf } from "./project.ts";
import { type Disk, pciDevices } from "./qemu.ts";
import { serveShare } from "./share.ts";

/** An output that was not written. */
export interface UnwrittenFile {
  path: string;
  /** Why: the text to follow the path and a colon. */
  reason: string;
}

/** What a guest was, and how its command ended. */
export interface GuestResult extends BootResult {
  arch: Arch;
  accelerator: "kvm" | "tcg";
  /** The kernel's release, as `uname -r` prints it. */
  kernel: string;
  /** The outputs that were not written. */
  unwritten: UnwrittenFile[];
}

const DEFAULT_TIMEOUT_MS = 600_000;
const DEFAULT_MEMORY_MIB = 1024;
/** The size of the disk behind an nvme. */
const DISK_BYTES = 64 * 2 ** 20;
/** Time for a guest to boot with KVM, which takes about a second if it works. */
const KVM_TIMEOUT_MS = 15_000;

/**
 * Boots a guest with this checkout inside, runs a command in it and ends it. Fetches the guest's assets on
 * first use.
 * @throws GuestError if the guest failed, MissingToolError if this machine lacks a tool or package,
 *   OptionError if an option can't work (no such file or kernel, too little memory), and errors of writing
 *   outputs
 */
export async function runGuest(options: GuestOptions): Promise<GuestResult> {
  const { arch, inputs = [], outputs = [], terminalColumns = 0, log = () => {} } = options;
  const memoryMib = options.memoryMib ?? DEFAULT_MEMORY_MIB;
  const devices = checkOptions({ ...options, memoryMib });
  const { tree, programs, kernel, bun } = await untilAborted(fetchAssets(options, log), options.signal);

  using folder = temporaryFolder();
  const initramfs = join(folder.path, "initramfs");
  writeFileSync(initramfs, Buffer.concat(buildInitramfs(arch, programs, kernel)));
  const iommu = options.iommu ?? true;
  const view = guestView(projectOf(options.project ?? process.cwd()));
  const machine = {
    arch,
    iommu,
    memoryMib,
    cpus: options.cpus ?? Math.min(2, availableParallelism()),
    hugepages: options.hugepages ?? 0,
    reboots: options.reboots ?? false,
    image: kernel.image,
    initramfs,
    trace: options.trace,
    shares: [{ name: "programs", path: programs }, { name: "bun", path: dirname(bun) }, ...view.folders],
  };

  /** Boots with a separate share, in which the guest finds its settings and its command. */
  async function bootWith(
    accelerator: "kvm" | "tcg",
    name: string,
    command: readonly string[],
    devices: readonly QemuDevice[],
    disks: readonly Disk[],
    options: Omit<BootOptions, "token">,
  ): Promise<BootResult> {
    const share = join(folder.path, name);
    const token = randomBytes(16).toString("hex");
    mkdirSync(join(share, "work"), { recursive: true });
    const settings = {
      token,
      bun: basename(bun),
      columns: String(terminalColumns),
      folders: view.folders.map(({ name }) => name).join(" "),
      work: view.work,
      program: quote(view.program),
      link: view.link.path,
      target: view.link.target,
    };
    writeFileSync(
      join(share, "settings"),
      Object.entries(settings)
        .map(([key, value]) => `${key}=${quote(value)}\n`)
        .join(""),
    );
    writeFileSync(join(share, "command"), `exec ${command.map(quote).join(" ")}\n`);
    let placed = devices;
    if (areMixed(devices)) {
      const names = new Set((await pciDevices(tree, arch)).flatMap(({ name, alias }) => [name, alias]));
      placed = placeDevices(devices, (name) => names.has(name));
    }
    const workSocket = join(folder.path, `${name}.sock`);
    await using _served = await serveShare(tree, share, workSocket);
    return await boot(
      tree,
      folder.path,
      { ...machine, accelerator, workSocket, disks, devices: placed },
      { ...options, token },
    );
  }

  const accelerator = await chooseAccelerator(arch, kernel.release, () =>
    bootWith("kvm", "probe", ["true"], [], [], { timeoutMs: KVM_TIMEOUT_MS, signal: options.signal }),
  );
  log(`${arch} guest, Linux ${kernel.release}, ${accelerator.name.toUpperCase()}: ${accelerator.why}`);

  const work = join(folder.path, "guest", "work");
  mkdirSync(work, { recursive: true });
  using files = openWorkFolder(work);
  for (const path of inputs) {
    if (statSync(path).isFIFO())
      log(`reading the pipe ${path} to its end; the guest has it as the file ${basename(path)}`);
    await untilAborted(files.put(path), options.signal);
  }
  await using models = new AsyncDisposableStack();
  const disks: Disk[] = [];
  const inQemu = async (device: GuestDevice, index: number): Promise<QemuDevice> => {
    if (device.kind === "vfio-user") return vfioUserDevice(device.socketPath);
    if (device.kind === "model") {
      const path = join(folder.path, `model-${index}.sock`);
      models.use(await serveModel(device.model, { socketPath: path, log }));
      return vfioUserDevice(path);
    }
    if (!needsDisk(device)) return device;
    const disk = { name: `disk-${index}`, path: join(folder.path, `disk-${index}`) };
    writeFileSync(disk.path, "");
    truncateSync(disk.path, DISK_BYTES); // sparse: takes only the space that the guest writes to
    disks.push(disk);
    return withProperties(device, { drive: disk.name });
  };
  const inOrder: QemuDevice[] = [];
  for (const [index, device] of devices.entries()) inOrder.push(await inQemu(device, index));
  const running = bootWith(accelerator.name, "guest", options.command, inOrder, disks, {
    ...options,
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
  });
  const [ended] = await Promise.allSettled([running]);
  const unwritten: UnwrittenFile[] = [];
  for (const path of outputs) {
    const reason = await files.take(path);
    if (reason !== undefined) unwritten.push({ path, reason });
  }
  if (ended.status === "rejected") {
    for (const { path, reason } of unwritten) log(`${path}: ${reason}`);
    throw ended.reason;
  }
  return { ...ended.value, arch, accelerator: accelerator.name, kernel: kernel.release, unwritten };
}

async function fetchAssets({ arch, kernel = DEFAULT_KERNEL }: GuestOptions, log: (line: string) => void) {
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

function temporaryFolder(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), "vfiokit-guest-"));
  return { path, [Symbol.dispose]: () => removeFolder(path) };
}

/** Quotes a word for the shell. */
const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
