/** A PCI device through the kernel's VFIO: Documentation/driver-api/vfio.rst and linux/vfio.h. */
import { fence } from "../../os/access.ts";
import { SystemError } from "../../os/errno.ts";
import { type Fd, ioctl } from "../../os/fd.ts";
import type { Mapping } from "../../os/memory.ts";
import type { PciFunction } from "../../pci/bus/functions.ts";
import { Command, Config, isSilentCommand } from "../../pci/config-offsets.ts";
import { type ConfigSpace, openConfigSpace } from "../../pci/config-space.ts";
import { BARS, DeviceFlag, RegionIndex, VfioFormatError } from "../../protocol/vfio.ts";
import {
  DeviceError,
  type DmaOptions,
  type Interrupt,
  type InterruptKind,
  type PciDevice,
  type Region,
} from "../device.ts";
import type { DmaMemories } from "../dma-memory.ts";
import { lockFunction } from "../lock.ts";
import { openRegion } from "../region.ts";
import { Vfio } from "./abi.ts";
import type { OpenGroup } from "./group.ts";
import type { openByGroup, VfioHandle, VfioRequest } from "./handle.ts";
import { hotReset } from "./hot-reset.ts";
import { Irqs } from "./irqs.ts";
import { findMsixTable } from "./msix-table.ts";
import { mapRegion, readRegionInfo, regionTransfers } from "./regions.ts";
import { watchRemoval } from "./removal.ts";

/** Opens a function that vfio-pci drives: `open` is openByGroup, openByNode or openWithoutIommu. Throws DeviceError. */
export function openVfio(pci: PciFunction, open: typeof openByGroup, request: VfioRequest): PciDevice {
  const { spec } = request;
  using held = new DisposableStack();
  held.use(lockFunction(pci, spec));
  try {
    const device = new VfioDevice(pci.address, spec, open(pci, request, held), held);
    device.enable();
    device.own(held.move());
    return device;
  } catch (error) {
    throw asDeviceError(error, spec);
  }
}

function asDeviceError(error: unknown, spec: string): unknown {
  if (error instanceof SystemError || error instanceof VfioFormatError)
    return new DeviceError(`${spec}: ${error.message}`, { cause: error });
  return error;
}

class VfioDevice implements PciDevice {
  readonly spec: string;
  readonly hasDma = true;
  readonly reachedBy: string;
  readonly config: ConfigSpace;
  readonly bars: readonly Region[];
  readonly #address: string;
  readonly #fd: Fd;
  readonly #irqs: Irqs;
  readonly #memories: DmaMemories;
  readonly #ownGroup: OpenGroup | undefined;
  readonly #mappings: Mapping[] = [];
  #held: DisposableStack | undefined;
  readonly #canReset: boolean;
  #whyClosed: (() => DeviceError) | undefined;

  /** Adds what it opens to `held`. Throws SystemError, VfioFormatError. */
  constructor(address: string, spec: string, handle: VfioHandle, held: DisposableStack) {
    const { fd, reachedBy, memories, ownGroup } = handle;
    this.spec = spec;
    this.#ownGroup = ownGroup;
    this.reachedBy = reachedBy;
    this.#memories = memories;
    this.#address = address;
    this.#fd = fd;
    // struct vfio_device_info: u32 argsz, flags, regions, interrupt indices.
    const info = new DataView(new ArrayBuffer(16));
    info.setUint32(0, 16, true);
    ioctl(fd, Vfio.DEVICE_GET_INFO, info, `${address}: read the device's information`);
    this.#canReset = (info.getUint32(4, true) & DeviceFlag.RESET) !== 0;
    this.#irqs = new Irqs(fd, info.getUint32(12, true));
    // Throughout its removal, or its unbinding from vfio-pci, the kernel waits for the descriptor's close.
    if (this.#irqs.count("req") > 0) held.use(watchRemoval(this.#irqs, () => this.#letGo()));

    const config = readRegionInfo(fd, RegionIndex.CONFIG);
    const configTransfers = regionTransfers(fd, "configuration space", config.fileOffset, spec);
    this.config = openConfigSpace(config.sizeBytes, configTransfers);
    const msixTable = findMsixTable(this.config);
    this.bars = Array.from({ length: BARS }, (_, index) => {
      const region = readRegionInfo(fd, index);
      const hole = msixTable?.bar === index ? msixTable : undefined;
      const { mappings, areas } = mapRegion(fd, region, hole);
      for (const mapping of mappings) this.#mappings.push(held.use(mapping));
      const transfers = regionTransfers(fd, `BAR${index}`, region.fileOffset, spec);
      return openRegion(index, region.sizeBytes, areas, transfers);
    });
  }

  /** Makes dispose release all of `held`. */
  own(held: DisposableStack): void {
    this.#held = held;
  }

  /** Enables decode and bus mastering: the kernel turned bus mastering off when it opened the device. */
  enable(): void {
    const command = this.config.read16(Config.COMMAND);
    if (isSilentCommand(command))
      throw new DeviceError(
        `${this.spec}: its configuration space reads as all ones: the link is down, or the device has gone away or is in reset`,
        {
          silent: true,
          remedies: [{ verb: "rescan", args: [this.#address], does: "rescans for it" }],
        },
      );
    this.config.write16(Config.COMMAND, command | Command.IO | Command.MEMORY | Command.BUS_MASTER);
  }

  interruptCount(kind: InterruptKind): number {
    return this.#guard(() => this.#irqs.count(kind));
  }

  enableInterrupts(kind: InterruptKind, count: number): Interrupt[] {
    return this.#guard(() => this.#irqs.enable(kind, count));
  }

  disableInterrupts(kind: InterruptKind): void {
    this.#guard(() => this.#irqs.disable(kind));
  }

  unmaskIntx(): void {
    this.#guard(() => this.#irqs.unmaskIntx());
  }

  allocateDma(sizeBytes: number, options?: DmaOptions) {
    return this.#guard(() => this.#memories.allocate(sizeBytes, options));
  }

  fence(): void {
    fence();
  }

  /** Resets the function alone if possible, else its slot or bus, if this process has all its groups open. */
  reset(): void {
    this.#guard(() => {
      if (this.#canReset) ioctl(this.#fd, Vfio.DEVICE_RESET, 0, `reset ${this.#address}`);
      else hotReset(this.#fd, this.spec, this.#ownGroup);
    });
    this.enable();
  }

  #guard<T>(work: () => T): T {
    if (this.#whyClosed) throw this.#whyClosed();
    try {
      return work();
    } catch (error) {
      throw asDeviceError(error, this.spec);
    }
  }

  /** The kernel wants it back. Views of DMA memory may still be in use, so this side of it stays. */
  #letGo(): void {
    this.#close(
      () =>
        new DeviceError(
          `${this.spec}: the kernel asked for the device back, for its removal or another driver, so it was closed`,
          { remedies: [{ verb: "list", args: [], does: "shows what has become of it" }] },
        ),
    );
  }

  /** Gives everything back but this side of DMA memory. A later use throws what `why` returns. */
  #close(why: () => DeviceError): void {
    if (this.#whyClosed) return;
    this.#whyClosed = why;
    using _held = this.#held;
    const { config } = this;
    const steps = [
      () => {
        const command = config.read16(Config.COMMAND);
        if (!isSilentCommand(command)) config.write16(Config.COMMAND, command & ~Command.BUS_MASTER);
      },
      () => this.#irqs.close(why),
      () => this.#memories.leave(),
    ];
    for (const step of steps) {
      try {
        step();
      } catch (error) {
        // A device that is gone has nothing left to give back; this side is still released.
        if (!(error instanceof SystemError || error instanceof DeviceError)) throw error;
      }
    }
    for (const mapping of this.#mappings) mapping.unmap(why);
    this.#fd.close(why);
  }

  [Symbol.dispose](): void {
    using _memories = this.#memories;
    this.#close(() => new DeviceError(`${this.spec}: the device is already closed`));
  }
}
