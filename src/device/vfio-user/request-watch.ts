/**
 * Serves the server's own requests (DMA_READ, DMA_WRITE) from the event loop, whatever the program awaits.
 *
 * It is a timer, because the alternatives are worse. Bun's loop can wait for a socket only by reading it,
 * which takes replies away from requests and drops descriptors. A thread in poll(2) costs a Worker in each
 * program that shares memory. SIGIO belongs to the whole process. Most servers map the memory and never send
 * such a request, so the timer is slow until one arrives.
 */
import { TURN_MS } from "../limits.ts";
import type { Connection } from "./connection.ts";

const QUICK_MS = 1;
const SLOW_MS = 10;
/** A server that moves data by messages sends the next one as soon as it has the answer. */
const PATIENCE_MS = 1;

export class RequestWatch implements Disposable {
  readonly #connection: Connection;
  #timer: NodeJS.Timeout | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Starts the timer, once. It does not keep the process alive. */
  start(): void {
    if (this.#timer === undefined) this.#arm(SLOW_MS);
  }

  #arm(delayMs: number): void {
    this.#timer = setTimeout(() => {
      const served = this.#connection.serveWaiting(TURN_MS, PATIENCE_MS);
      if (this.#connection.listening) this.#arm(served ? QUICK_MS : Math.min(2 * delayMs, SLOW_MS));
    }, delayMs);
    this.#timer.unref();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
