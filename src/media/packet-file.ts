import type { OutputFile } from "./output-file.ts";
import type { Packet, PacketWriter } from "./packet.ts";

/** What a container adds to a file: each packet, and at the end what makes it complete. */
export interface Container {
  add(packet: Packet): Promise<void>;
  /** Called once, before the file is closed. */
  complete(): void | Promise<void>;
}

/** A PacketWriter of a container: what happens to the file when a write fails is the same in all of them. */
export class PacketFile implements PacketWriter {
  readonly #file: OutputFile;
  readonly #container: Container;
  #failure: unknown;
  #closed = false;

  constructor(file: OutputFile, container: Container) {
    this.#file = file;
    this.#container = container;
  }

  get bytes(): number {
    return this.#file.size;
  }

  async write(packet: Packet): Promise<void> {
    if (this.#failure) throw this.#failure;
    try {
      await this.#container.add(packet);
    } catch (error) {
      this.#failure = error;
      await this.close().catch(() => {}); // the failed write is what gets reported
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#container.complete();
    } finally {
      this.#file.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
