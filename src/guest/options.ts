/** A guest's options, which are checked before anything is fetched or booted. */
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { DeviceError } from "../device/device.ts";
import { type Remedy, type RemedyOptions, remediesOf } from "../remedy/remedy.ts";
import { type Arch, arches } from "./arch.ts";
import { type GuestDevice, parseDevice } from "./devices.ts";
import type { Trace } from "./qemu.ts";
import type { ByteSink, Input, Terminal } from "./streams.ts";
import { refusedIn } from "./tree.ts";

/** What a guest is booted with. */
export interface BootGuestOptions {
  arch: Arch;
  /**
   * Short names (devices.ts), `vfio-user:/path/to.sock`, `model:NAME` for a model (registerModel), or QEMU's
   * -device options. The first one is 0000:00:01.0 unless it says otherwise.
   */
  devices?: readonly string[];
  /**
   * The user's folder, which the guest sees as /project. Default: the folder with the nearest package.json, from the working
   * directory up. A guest started from a clone of vfiokit sees the clone, and this folder only if vfiokit is linked in it.
   */
  project?: string;
  /** Files and folders to copy into the guest's folder `work` under their base names. A pipe is read to its end. */
  inputs?: readonly string[];
  /** The beginning of a version in Debian's archive, or the file of a package linux-image-*.deb. */
  kernel?: string | undefined;
  memoryMib?: number;
  cpus?: number;
  /** 2 MiB pages that the guest's kernel reserves. */
  hugepages?: number;
  iommu?: boolean;
  /** Lets commands reboot the guest. Those that ran then run again, and `work` is as they left it. */
  reboots?: boolean;
  /**
   * Devices that can be plugged in at the same time, up to 8. Default: none, because each port makes the boot a little longer.
   * On aarch64 the guest's IOMMU is then virtio-iommu.
   */
  hotplugPorts?: number;
  /** Events for QEMU to trace, for tests that watch the bus. */
  trace?: Trace;
  /** Time for the boot. Default: 10 minutes. */
  timeoutMs?: number | undefined;
  /** Ends the guest, at any time. */
  signal?: AbortSignal | undefined;
  /** Gets lines about progress, for people. */
  log?: (line: string) => void;
  /** Gets the kernel's console, and QEMU's own messages. */
  onConsole?: ((text: string) => void) | undefined;
  /** Called when QEMU starts. */
  onBoot?: (() => void) | undefined;
}

/** A guest and its one command. `timeoutMs` is for both together. */
export interface GuestOptions extends BootGuestOptions {
  /** Program and arguments, in the folder `work`; empty for the shell on `terminal`. The program is searched for on the guest's PATH, which includes bun. */
  command: readonly string[];
  /** Files to write from that folder's regular files of the same base names, however the command ended. */
  outputs?: readonly string[];
  /** For the shell. The guest then has its time limit for the boot alone. */
  terminal?: Terminal | undefined;
  /** Standard input. Default: empty. */
  stdin?: Input | undefined;
  /** Get the command's output as it comes. */
  onStdout?: ByteSink | undefined;
  onStderr?: ByteSink | undefined;
  /** Called when the guest has booted and starts the command. */
  onCommand?: (() => void) | undefined;
  /** Columns of the terminal that onStderr writes to, if it is one: the guest's verbs show progress there. */
  terminalColumns?: number | undefined;
}

/** An option can't work as given. */
export class OptionError extends RangeError {
  readonly option: keyof GuestOptions;
  /** The value and what is wrong with it. */
  readonly mistake: string;
  /** What to do about it. */
  readonly remedies: readonly Remedy[];

  constructor(option: keyof GuestOptions, mistake: string, options: RemedyOptions = {}) {
    super(`${option}: ${mistake}`, options);
    this.remedies = options.remedies ?? remediesOf(options.cause);
    this.option = option;
    this.mistake = mistake;
  }
}

/** Memory for the guest's kernel, its file systems and a Bun, besides reserved pages. */
const ROOM_MIB = 256;
const HUGEPAGE_MIB = 2;

/**
 * Checks files and memory, and returns the devices. Only the archive knows whether it has the kernel, and
 * QEMU whether it has its devices.
 * @throws OptionError
 */
export function checkOptions(
  options: BootGuestOptions & { memoryMib: number; outputs?: readonly string[] },
): GuestDevice[] {
  const {
    devices = [],
    inputs = [],
    outputs = [],
    kernel,
    memoryMib,
    hugepages = 0,
    hotplugPorts = 0,
  } = options;
  if (!Object.hasOwn(arches, options.arch))
    throw new OptionError("arch", `${options.arch}: it must be one of ${Object.keys(arches).join(", ")}`);
  if (!(memoryMib >= ROOM_MIB))
    throw new OptionError("memoryMib", `${memoryMib}: a guest needs at least ${ROOM_MIB}`);
  if (hugepages > 0 && hugepages * HUGEPAGE_MIB + ROOM_MIB > memoryMib) {
    const most = Math.max(0, Math.floor((memoryMib - ROOM_MIB) / HUGEPAGE_MIB));
    const need = hugepages * HUGEPAGE_MIB + ROOM_MIB;
    throw new OptionError(
      "hugepages",
      `${hugepages}: with ${ROOM_MIB} MiB for the guest itself they need ${need} MiB of memory, and it has ${memoryMib}; at most ${most} fit`,
    );
  }
  if (!Number.isInteger(hotplugPorts) || hotplugPorts < 0 || hotplugPorts > 8)
    throw new OptionError("hotplugPorts", `${hotplugPorts}: a guest has 0 to 8 of them`);
  if (kernel?.endsWith(".deb")) checkReadable("kernel", kernel);
  else if (kernel !== undefined && !/^\d+(\.\d+)*([+~-][\w.+~-]*)?$/.test(kernel))
    throw new OptionError(
      "kernel",
      `${kernel}: it is neither a kernel's version, such as 6.12, nor a linux-image .deb`,
    );
  for (const [index, path] of inputs.entries()) {
    checkInput(path);
    const name = basename(resolve(path));
    if (inputs.findIndex((other) => basename(resolve(other)) === name) < index)
      throw new OptionError("inputs", `${path}: another one is also called ${name}`);
  }
  for (const path of outputs) checkWritable("outputs", path);
  return devices.map(checkDevice);
}

/** Parses a spec. Throws OptionError. */
export function checkDevice(spec: string): GuestDevice {
  let device: GuestDevice;
  try {
    device = parseDevice(spec);
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    throw new OptionError("devices", error.message, { cause: error });
  }
  if (device.kind === "vfio-user" && !existsSync(device.socketPath))
    throw new OptionError("devices", `${spec}: there is no such socket; start the server first`, {
      remedies: [
        {
          verb: "model",
          args: ["--standby", "--socket", device.socketPath],
          does: "starts one with a software model",
        },
      ],
    });
  return device;
}

function checkReadable(option: keyof GuestOptions, path: string): void {
  attempt(option, `${path}: it can't be read`, () => accessSync(path, constants.R_OK));
  if (statSync(path).isDirectory()) throw new OptionError(option, `${path}: it is a folder, not a file`);
}

/** Throws OptionError. */
export function checkInput(path: string): void {
  attempt("inputs", `${path}: it can't be read`, () => accessSync(path, constants.R_OK));
  if (statSync(path).isDirectory()) {
    const refused = resolve(path) === "/" ? { path, reason: "it has no name" } : refusedIn(path);
    if (refused)
      throw new OptionError("inputs", `${path}: ${refused.path} can't go to the guest: ${refused.reason}`);
    return;
  }
  const stats = statSync(path);
  if (!stats.isFile() && !stats.isFIFO())
    throw new OptionError("inputs", `${path}: it is neither a regular file nor a pipe nor a folder`);
}

function checkWritable(option: keyof GuestOptions, path: string): void {
  const folder = dirname(path);
  const isFolder = (path: string) => existsSync(path) && statSync(path).isDirectory();
  if (isFolder(path)) throw new OptionError(option, `${path}: it is a folder, not a file`);
  if (existsSync(path))
    attempt(option, `${path}: it can't be written`, () => accessSync(path, constants.W_OK));
  else if (isFolder(folder)) {
    const access = constants.W_OK | constants.X_OK;
    attempt(option, `${path}: nothing can be written to ${folder}`, () => accessSync(folder, access));
  } else if (existsSync(folder)) throw new OptionError(option, `${path}: ${folder} is not a folder`);
  else throw new OptionError(option, `${path}: there is no folder ${folder}; mkdir -p ${folder} creates it`);
}

function attempt(option: keyof GuestOptions, failure: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    throw new OptionError(option, `${failure} (${(error as NodeJS.ErrnoException).code})`);
  }
}
