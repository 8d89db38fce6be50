/**
 * A PCI device through its files in sysfs, where VFIO is unavailable: resourceN for BARs, `config` for
 * configuration space, /dev/uioN for INTx. Documentation/PCI/sysfs-pci.rst. Nothing here restricts what memory the device
 * reaches, so there is DMA only if it is asked for.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fence } from "../../os/access.ts";
import { SystemError } from "../../os/errno.ts";
import { type Fd, O_RDWR, openFile } from "../../os/fd.ts";
import { mapShared, PAGE_SIZE } from "../../os/memory.ts";
import { readAttribute, writeAttribute } from "../../pci/bus/attribute.ts";
import { BusError } from "../../pci/bus/bus-error.ts";
import { type ConfigFile, openConfigFile } from "../../pci/bus/config-file.ts";
import { changeCommand } from "../../pci/bus/enable.ts";
import { type PciFunction, ResourceFlag } from "../../pci/bus/functions.ts";
import { isVfioDriver } from "../../pci/bus/group.ts";
import { isBeyondVfio } from "../../pci/bus/iommu.ts";
import { isSilent } from "../../pci/bus/presence.ts";
import { Command, Config } from "../../pci/config-offsets.ts";
import { BARS } from "../../protocol/vfio.ts";
import type { Advice, Remedy } from "../../remedy/remedy.ts";
import {
  type ConfigSpace,
  DeviceError,
  type DmaMemory,
  type DmaOptions,
  type Interrupt,
  type InterruptKind,
  type OpenOptions,
  type PciDevice,
  type Region,
} from "../device.ts";
import { fileTransfers } from "../file-transfers.ts";
import { lockFunction } from "../lock.ts";
import { PhysicalMemories } from "../physical/memories.ts";
import { openRegion, type RegionTransfers } from "../region.ts";
import { findUio, openUio, UioInterrupt } from "./uio.ts";

export interface SysfsOptions extends Pick<OpenOptions, "dma"> {
  readonly spec: string;
}

/** Why sysfs is used although VFIO may work. */
export const ASKED_FOR: Advice = { text: "it was asked for", remedies: [] };
const TURN_IOMMU_ON: Remedy = { verb: "doctor", args: [], does: "shows how" };

/** Opens a function that has no driver, or uio_pci_generic. `why` is why not VFIO. Throws DeviceError. */
export function openSysfs(pci: PciFunction, why: Advice, { spec, dma }: SysfsOptions): PciDevice {
  if (pci.driver !== undefined && pci.driver !== "uio_pci_generic") {
    const { text, remedies } = whoKeepsIt(pci, pci.driver, why);
    throw new DeviceError(`${spec}: ${text}`, { remedies });
  }
  if (dma === "physical") checkPhysical(pci, spec);
  using held = new DisposableStack();
  held.use(lockFunction(pci, spec));
  try {
    const config = held.use(openConfigFile(pci, "r+"));
    const has = (flag: bigint) => pci.resources.slice(0, BARS).some(({ flags }) => (flags & flag) !== 0n);
    const decode = { io: has(ResourceFlag.IO), memory: has(ResourceFlag.MEMORY), busMaster: false };
    changeCommand(pci, decode, true);
    const memories = dma === "physical" ? new PhysicalMemories(spec) : undefined;
    const device = new SysfsDevice(pci, why, spec, { config, memories, held });
    if (memories) letMaster(pci);
    device.own(held.move());
    return device;
  } catch (error) {
    if (error instanceof BusError || error instanceof SystemError)
      throw new DeviceError(`${spec}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** Which driver prevents its BARs from being mapped, and what helps. */
function whoKeepsIt(pci: PciFunction, driver: string, why: Advice): Advice {
  const { address } = pci;
  if (isVfioDriver(driver))
    return why === ASKED_FOR
      ? {
          text: `${driver} has ${address}, so its BARs are mapped through VFIO: open it as ${address}, without sysfs`,
          remedies: [{ verb: "release", args: [address], does: `unbinds it from ${driver}` }],
        }
      : {
          text: `${driver} has ${address}, so its BARs can't be mapped through sysfs, and VFIO can't be used: ${why.text}`,
          remedies: [...why.remedies, { ...bindUio(address), does: "works without VFIO" }],
        };
  const kept = `${driver} drives ${address}; its BARs can't be mapped while it does`;
  if (pci.isBridge)
    return {
      text: `${kept}, and no driver for user space supports bridges`,
      remedies: [{ verb: "peek", args: [address, "config:0"], does: "reads its configuration space" }],
    };
  return { text: kept, remedies: [isBeyondVfio(pci) ? bindUio(address) : { verb: "bind", args: [address] }] };
}

const bindUio = (address: string): Remedy => ({
  verb: "bind",
  args: [address, "--driver", "uio_pci_generic"],
});

/** Throws DeviceError if physical addresses would not work, or bus mastering outlive this process. */
function checkPhysical(pci: PciFunction, spec: string): void {
  const group = pci.iommuGroup?.number;
  if (group !== undefined && readAttribute(`/sys/kernel/iommu_groups/${group}/type`) !== "identity")
    throw new DeviceError(
      `${spec}: physical addresses do not reach memory: an IOMMU translates for ${pci.address}; use VFIO`,
      { remedies: [{ verb: "bind", args: [pci.address] }] },
    );
  if (findUio(pci) === undefined)
    throw new DeviceError(
      `${spec}: DMA by physical addresses needs uio_pci_generic, which ends it when this process ends, however it does`,
      { remedies: [bindUio(pci.address)] },
    );
}

/** Turns bus mastering on. A device that can be reset is reset first: it may go on with what a process that was killed began. */
function letMaster(pci: PciFunction): void {
  const file = join(pci.path, "reset");
  if (existsSync(file)) writeAttribute(file, "1", `reset ${pci.address}`);
  changeCommand(pci, { io: false, memory: false, busMaster: true }, true);
}

interface SysfsParts {
  readonly config: ConfigFile;
  readonly memories: PhysicalMemories | undefined;
  readonly held: DisposableStack;
}

class SysfsDevice implements PciDevice {
  readonly spec: string;
  readonly reachedBy: string;
  readonly hasDma: boolean;
  readonly config: ConfigSpace;
  readonly bars: readonly Region[];
  readonly #pci: PciFunction;
  readonly #why: Advice;
  #held: DisposableStack | undefined;
  readonly #uio: string | undefined;
  /** Once it is needed. */
  #uioFd: Fd | undefined;
  readonly #memories: PhysicalMemories | undefined;
  #intx: UioInterrupt | undefined;
  #closed = false;

  /** Adds what it opens to `held`. */
  constructor(pci: PciFunction, why: Advice, spec: string, { config, memories, held }: SysfsParts) {
    this.spec = spec;
    const by = memories ? "sysfs and uio_pci_generic, DMA by physical addresses" : "sysfs";
    this.reachedBy = `${by}, since ${why.text}`;
    this.hasDma = memories !== undefined;
    this.#memories = memories;
    this.config = config;
    this.#pci = pci;
    this.#why = why;
    this.#uio = findUio(pci);
    if (memories && this.#uio !== undefined) this.#uioFd = held.use(openUio(this.#uio));
    this.bars = Array.from({ length: BARS }, (_, index) => this.#openBar(index, held));
  }

  /** Makes dispose release all of `held`. */
  own(held: DisposableStack): void {
    this.#held = held;
  }

  #openBar(index: number, held: DisposableStack): Region {
    const { start, end, flags } = this.#pci.resources[index] ?? { start: 0n, end: 0n, flags: 0n };
    const sizeBytes = flags & (ResourceFlag.MEMORY | ResourceFlag.IO) ? Number(end - start + 1n) : 0;
    const path = join(this.#pci.path, `resource${index}`);
    const unreachable = (why: string, remedies: readonly Remedy[]): Region =>
      openRegion(
        index,
        sizeBytes,
        [],
        refusal(`${this.spec}: BAR${index} can't be reached through sysfs: ${why}`, remedies),
      );
    const vfioMapsIt = (why: string, how: string): Region =>
      isBeyondVfio(this.#pci)
        ? unreachable(`${why}; ${how}: turn the IOMMU on first`, [TURN_IOMMU_ON])
        : unreachable(`${why}; ${how}`, [{ verb: "bind", args: [this.#pci.address] }]);
    if (sizeBytes === 0) return openRegion(index, 0, [], refusal(`${this.spec}: there is no BAR${index}`));
    if (flags & ResourceFlag.UNSET || start === 0n)
      return unreachable("the kernel assigned it no address", [
        {
          verb: "rescan",
          args: [this.#pci.physicalFunction ?? this.#pci.address],
          does: "lets it try again",
        },
      ]);
    if (!existsSync(path))
      return vfioMapsIt(`this kernel has no ${path} on this architecture`, "VFIO maps it anyway");
    try {
      const fd = openFile(path, O_RDWR);
      if (flags & ResourceFlag.IO) {
        held.use(fd);
        return openRegion(index, sizeBytes, [], portTransfers(fd, path, this.spec));
      }
      using closing = fd;
      // The mapping starts at a page, and a BAR below 4 KiB may start within one.
      const inPage = Number(start % BigInt(PAGE_SIZE));
      const mapping = held.use(mapShared(closing.number, inPage + sizeBytes));
      return openRegion(index, sizeBytes, [{ offset: 0, sizeBytes, mapping, from: inPage }], refusal(""));
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return error.code === "EPERM"
        ? vfioMapsIt(`${error.message}: kernel lockdown forbids it`, "VFIO maps it")
        : unreachable(error.message, []);
    }
  }

  interruptCount(kind: InterruptKind): number {
    return kind === "intx" && this.#uio !== undefined ? 1 : 0;
  }

  enableInterrupts(kind: InterruptKind, count: number): Interrupt[] {
    if (kind !== "intx" || count !== 1 || this.#uio === undefined) {
      const { text, remedies } =
        kind === "intx"
          ? { text: "bind uio_pci_generic", remedies: [bindUio(this.#pci.address)] }
          : {
              text: `sysfs has INTx only (one vector, with uio_pci_generic); the others need VFIO, which was not used because ${this.#why.text}`,
              remedies: this.#why.remedies,
            };
      throw new DeviceError(`${this.spec}: ${count} ${kind} interrupts are not available: ${text}`, {
        remedies,
      });
    }
    if (this.#closed) throw new DeviceError(`${this.spec}: the device is already closed`);
    try {
      this.#intx?.[Symbol.dispose]();
      this.#uioFd ??= this.#held!.use(openUio(this.#uio));
      this.#intx = new UioInterrupt(this.#uio, this.#uioFd);
      this.unmaskIntx();
      return [this.#intx];
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new DeviceError(`${this.spec}: ${error.message}`, { cause: error });
    }
  }

  disableInterrupts(kind: InterruptKind): void {
    if (kind === "intx") this.#changeCommand((command) => command | Command.INTX_DISABLE);
  }

  /** uio_pci_generic masks INTx by the Command register, PCIe 6.0 section 7.5.1.1.3, but does not unmask it. */
  unmaskIntx(): void {
    this.#changeCommand((command) => command & ~Command.INTX_DISABLE);
  }

  /** Throws DeviceError if the device is gone or closed. */
  #changeCommand(change: (command: number) => number): void {
    try {
      const command = this.config.read16(Config.COMMAND);
      if (isSilent({ command }))
        throw new BusError("its configuration space reads as all ones: it has gone away");
      this.config.write16(Config.COMMAND, change(command));
    } catch (error) {
      if (!(error instanceof BusError)) throw error;
      throw new DeviceError(`${this.spec}: ${error.message}`, { cause: error });
    }
  }

  allocateDma(sizeBytes: number, options?: DmaOptions): DmaMemory {
    if (this.#closed) throw new DeviceError(`${this.spec}: the device is already closed`);
    if (this.#memories) return this.#memories.allocate(sizeBytes, options);
    if (!isBeyondVfio(this.#pci))
      throw new DeviceError(`${this.spec}: DMA needs VFIO, which was not used because ${this.#why.text}`, {
        remedies: this.#why.remedies,
      });
    throw new DeviceError(
      `${this.spec}: DMA is not available through sysfs, where no IOMMU limits what the device can reach; use the memory in its BARs, turn the IOMMU on and use VFIO, or, with a device that you trust with all memory, open ${this.#pci.address}?dma=physical`,
      { remedies: [TURN_IOMMU_ON] },
    );
  }

  fence(): void {
    fence();
  }

  reset(): void {
    try {
      writeAttribute(join(this.#pci.path, "reset"), "1", `reset ${this.#pci.address}`);
    } catch (error) {
      if (!(error instanceof BusError)) throw error;
      throw new DeviceError(
        `${this.spec}: ${error.message}; a function without a reset of its own has no such file`,
        { cause: error },
      );
    }
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    // Its memory goes last: if bus mastering can't be turned off here, closing the uio device does.
    using _memories = this.#memories;
    using _held = this.#held;
    using _intx = this.#intx;
    try {
      this.#changeCommand((command) => command & ~Command.BUS_MASTER);
    } catch (error) {
      // A device that is gone can't master the bus.
      if (!(error instanceof DeviceError)) throw error;
    }
  }
}

/** Transfers that always fail, for a BAR that can only be accessed through its mapping. */
function refusal(why: string, remedies: readonly Remedy[] = []): RegionTransfers {
  const refuse = () => {
    throw new DeviceError(why, { remedies });
  };
  return { maxDataBytes: 8, read: refuse, write: refuse };
}

/** I/O ports: one pread or pwrite is one access of 1, 2 or 4 bytes. */
function portTransfers(fd: Fd, path: string, spec: string): RegionTransfers {
  return fileTransfers({ fd, fileOffset: 0, name: path, maxDataBytes: 4, explain: () => undefined }, spec);
}
