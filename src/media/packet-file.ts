import type { OutputFile } from "./output-file.ts";
import type { Packet, PacketWriter } from "./packet.ts";

/** A container format: adds packets to a file, and completes it at the end. */
export interface Container {
  add(packet: Packet): Promise<void>;
  /** Called once, before the file is closed. */
  complete(): void | Promise<void>;
}

/** A PacketWriter for any container. It handles a failed write the same way for all of them. */
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
