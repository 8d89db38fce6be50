/** INTx through /dev/uioN of uio_pci_generic: Documentation/driver-api/uio-howto.rst in the kernel. */
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { SystemError } from "../../os/errno.ts";
import { duplicateFd, type Fd, O_NONBLOCK, O_RDWR, openFile, readAt } from "../../os/fd.ts";
import { takeWithin } from "../../os/poll.ts";
import { readAttribute } from "../../pci/bus/attribute.ts";
import type { PciFunction } from "../../pci/bus/functions.ts";
import type { Interrupt } from "../device.ts";

/** How often an asynchronous waiter polls: Bun's event loop can't wait for uio devices. */
const LOOK_MS = 1;

/** The path of the function's uio device; undefined unless uio_pci_generic is bound. */
export function findUio({ path }: PciFunction): string | undefined {
  try {
    const [name] = readdirSync(join(path, "uio"));
    return name === undefined ? undefined : `/dev/${name}`;
  } catch {
    return undefined;
  }
}

/** Opens a uio device for good: closing any descriptor of it that was opened turns bus mastering off. Throws SystemError. */
export function openUio(path: string): Fd {
  return openFile(path, O_RDWR | O_NONBLOCK);
}

/** A read returns the number of interrupts since the driver was bound, as u32. */
export class UioInterrupt implements Interrupt {
  readonly #fd: Fd;
  readonly #path: string;
  readonly #count = new DataView(new ArrayBuffer(4));
  #seen: number;

  /** `uio` is the device's descriptor, which stays open. Throws SystemError. */
  constructor(path: string, uio: Fd) {
    this.#path = path;
    this.#seen = Number(readAttribute(`/sys/class/uio/${basename(path)}/event`) ?? 0);
    this.#fd = duplicateFd(uio.number);
  }

  take(): number {
    try {
      readAt(this.#fd, new Uint8Array(this.#count.buffer), 0, `read ${this.#path}`);
    } catch (error) {
      if (error instanceof SystemError && error.code === "EAGAIN") return 0;
      throw error;
    }
    const total = this.#count.getUint32(0, true);
    const fresh = (total - this.#seen) >>> 0;
    this.#seen = total;
    return fresh;
  }

  wait(timeoutMs: number): number {
    return takeWithin(this.#fd.number, () => this.take(), timeoutMs);
  }

  async waitAsync(timeoutMs: number): Promise<number> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const count = this.take();
      if (count > 0 || performance.now() >= deadline) return count;
      await Bun.sleep(LOOK_MS);
    }
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}
