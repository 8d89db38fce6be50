/**
 * A recorded vfio-user exchange: JSON lines, first what it is, then what happened on the client's connection, in order.
 * Bytes are hex with runs of 16 equal bytes or more written "41*1024".
 */

/** The first line: where the bytes come from. */
export interface Source {
  readonly server: string;
  readonly sample: string;
  readonly recorded: string;
  readonly how: string;
  /** The one value of the session that is new each time, seconds since 1970; see session.ts. */
  readonly alarmSeconds: number;
}

/**
 * Files are numbered in the order in which either side passed them, eventfds likewise. `wrote` says that the content
 * of a shared file changed since the line before; `signals` that the server added to an eventfd's counter.
 */
export type Event =
  | { readonly by: Side; readonly message: string; readonly bytes: string; readonly fds?: readonly string[] }
  | { readonly by: Side; readonly wrote: number; readonly at: number; readonly bytes: string }
  | { readonly by: "server"; readonly signals: number; readonly count: number };
export type Side = "client" | "server";

export interface Exchange {
  readonly source: Source;
  readonly events: readonly Event[];
}

export function parseExchange(text: string): Exchange {
  const [source, ...events] = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { source, events };
}

export function formatExchange({ source, events }: Exchange): string {
  return `${[source, ...events].map((line) => JSON.stringify(line)).join("\n")}\n`;
}

const hex = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");

export function packBytes(bytes: Uint8Array): string {
  const parts: string[] = [];
  let plain = 0;
  for (let at = 0; at < bytes.length; ) {
    let end = at + 1;
    while (end < bytes.length && bytes[end] === bytes[at]) end++;
    if (end - at >= 16) {
      if (at > plain) parts.push(hex(bytes.subarray(plain, at)));
      parts.push(`${hex(bytes.subarray(at, at + 1))}*${end - at}`);
      plain = end;
    }
    at = end;
  }
  if (bytes.length > plain) parts.push(hex(bytes.subarray(plain)));
  return parts.join(" ");
}

export function unpackBytes(packed: string): Uint8Array<ArrayBuffer> {
  const parts = packed.split(" ").map((part) => {
    const [digits, count = "1"] = part.split("*");
    return Buffer.from(digits!.repeat(Number(count)), "hex");
  });
  return new Uint8Array(Buffer.concat(parts));
}
