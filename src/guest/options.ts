/** What a guest can be told, and whether that can work at all, before anything is fetched or booted. */
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { DeviceError } from "../device/device.ts";
import type { Arch } from "./arch.ts";
import type { BootOptions } from "./boot.ts";
import { type GuestDevice, parseDevice } from "./devices.ts";
import type { Trace } from "./qemu.ts";

export interface GuestOptions extends Partial<Omit<BootOptions, "token">> {
  arch: Arch;
  /** Program and arguments; the program is looked for on the guest's PATH, where bun is. */
  command: readonly string[];
  /**
   * Short names (devices.ts), `vfio-user:/path/to.sock`, `model:NAME` for a model (registerModel), or QEMU's -device options; the
   * first one is 0000:00:01.0 unless it says otherwise.
   */
  devices?: readonly string[];
  /**
   * The user's folder that the guest sees beside vfiokit, as /project; the one with the nearest package.json at or above the
   * working directory where it is not given. In a clone of vfiokit the guest sees that, and this only where vfiokit is linked in it.
   */
  project?: string;
  /** Files that are put into the command's working directory, under their base names; a pipe is read to its end. */
  inputs?: readonly string[];
  /** Files to write with the regular files in that directory under their base names in the end, however the command ended. */
  outputs?: readonly string[];
  /** The beginning of a version that Debian's archive has, or the file of a package linux-image-*.deb. */
  kernel?: string | undefined;
  memoryMib?: number;
  cpus?: number;
  /** 2 MiB pages that the guest's kernel sets aside. */
  hugepages?: number;
  iommu?: boolean;
  /** Lets the command reboot the guest: it is run from its start again, and finds what it left in its working directory. */
  reboots?: boolean;
  /** Columns of the terminal that onStderr writes to, where it is one: the guest's verbs show their progress there. */
  terminalColumns?: number | undefined;
  /** What QEMU shall note, for tests that watch the bus. */
  trace?: Trace;
  /** Takes lines about what is under way, for people. */
  log?: (line: string) => void;
}

/** An option that can't work as it is given. */
export class OptionError extends RangeError {
  readonly option: keyof GuestOptions;
  /** The value and what is wrong with it. */
  readonly mistake: string;

  constructor(option: keyof GuestOptions, mistake: string) {
    super(`${option}: ${mistake}`);
    this.option = option;
    this.mistake = mistake;
  }
}

/** What the guest's kernel, its file systems and a Bun need besides pages that are set aside. */
const ROOM_MIB = 256;
const HUGEPAGE_MIB = 2;

/**
 * Looks at files and does sums; the archive knows whether it has the kernel, and QEMU whether it has its devices. Gives the
 * devices.
 * @throws OptionError
 */
export function checkOptions(options: GuestOptions & { memoryMib: number }): GuestDevice[] {
  const { devices = [], inputs = [], outputs = [], kernel, memoryMib, hugepages = 0 } = options;
  if (hugepages > 0 && hugepages * HUGEPAGE_MIB + ROOM_MIB > memoryMib) {
    const most = Math.max(0, Math.floor((memoryMib - ROOM_MIB) / HUGEPAGE_MIB));
    const need = hugepages * HUGEPAGE_MIB + ROOM_MIB;
    throw new OptionError(
      "hugepages",
      `${hugepages}: with ${ROOM_MIB} MiB for the guest itself they need ${need} MiB of memory, and it has ${memoryMib}; at most ${most} fit`,
    );
  }
  if (kernel?.endsWith(".deb")) checkReadable("kernel", kernel);
  else if (kernel !== undefined && !/^\d+(\.\d+)*([+~-][\w.+~-]*)?$/.test(kernel))
    throw new OptionError(
      "kernel",
      `${kernel}: it is neither a kernel's version, such as 6.12, nor a linux-image .deb`,
    );
  for (const [index, path] of inputs.entries()) {
    checkInput(path);
    const name = basename(path);
    if (inputs.findIndex((other) => basename(other) === name) < index)
      throw new OptionError("inputs", `${path}: another one is called ${name}, too`);
  }
  for (const path of outputs) checkWritable("outputs", path);
  return devices.map(checkDevice);
}

function checkDevice(spec: string): GuestDevice {
  let device: GuestDevice;
  try {
    device = parseDevice(spec);
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    throw new OptionError("devices", error.message);
  }
  if (device.kind === "vfio-user" && !existsSync(device.socketPath))
    throw new OptionError(
      "devices",
      `${spec}: there is no such socket; start the server first, e.g. bun run model.ts --standby --socket ${device.socketPath}`,
    );
  return device;
}

function checkReadable(option: keyof GuestOptions, path: string): void {
  attempt(option, `${path}: it can't be read`, () => accessSync(path, constants.R_OK));
  if (statSync(path).isDirectory()) throw new OptionError(option, `${path}: it is a folder, not a file`);
}

function checkInput(path: string): void {
  checkReadable("inputs", path);
  const stats = statSync(path);
  if (!stats.isFile() && !stats.isFIFO())
    throw new OptionError("inputs", `${path}: it is neither a regular file nor a pipe`);
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
  } else if (existsSync(folder)) throw new OptionError(option, `${path}: ${folder} is no folder`);
  else throw new OptionError(option, `${path}: there is no folder ${folder}; mkdir -p ${folder} makes it`);
}

function attempt(option: keyof GuestOptions, failure: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    throw new OptionError(option, `${failure} (${(error as NodeJS.ErrnoException).code})`);
  }
}
