/** A vector of a device behind a vfio-user server: an eventfd that the server signals. */
import { EventFd } from "../../os/eventfd.ts";
import { POLLIN, poll, takeBetween } from "../../os/poll.ts";
import type { Interrupt } from "../device.ts";
import type { Connection } from "./connection.ts";

/**
 * Waiting serves the server's own requests. An interrupt does not overtake the device's earlier writes (PCIe
 * 6.0, section 2.4.1), so DMA_WRITEs that have arrived are carried out before the count is returned.
 */
export class VectorInterrupt implements Interrupt {
  readonly eventFd = new EventFd();
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  take(): number {
    const count = this.eventFd.take();
    if (count > 0) this.#connection.serveWaiting();
    return count;
  }

  wait(timeoutMs: number): number {
    return takeBetween(
      () => this.take(),
      (leftMs) => this.#idle(leftMs),
      timeoutMs,
    );
  }

  #idle(timeoutMs: number): void {
    const fds = [this.eventFd.fd];
    // A connection that the server closed stays readable for ever.
    if (this.#connection.listening) fds.push(this.#connection.socket);
    const [signalled] = poll(
      fds.map((fd) => ({ fd: fd.number, events: POLLIN })),
      timeoutMs,
    );
    if (!signalled) this.#connection.serveWaiting();
  }

  async waitAsync(timeoutMs: number): Promise<number> {
    const count = await this.eventFd.waitAsync(timeoutMs);
    if (count > 0) this.#connection.serveWaiting();
    return count;
  }

  [Symbol.dispose](): void {
    this.eventFd[Symbol.dispose]();
  }
}
