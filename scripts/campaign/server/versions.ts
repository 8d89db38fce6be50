/** VERSION as clients send it, and as they should not. */
import { type Arbitrary, constantFrom, json, oneof, record } from "fast-check";
import { concat, pack, QEMU_VERSION } from "../raw-client.ts";

/** One of those below, or any JSON in place of the capabilities. */
export type Version = { readonly name: string } | { readonly json: string };

const text = (json: string, major = 0, end = "\0") =>
  concat(pack("22", major, 0), new TextEncoder().encode(json + end));
const capabilities = (json: string) => text(`{"capabilities":${json}}`);

/** Payloads that the server must take, and those for which it must end the connection. */
const taken: Readonly<Record<string, Uint8Array>> = {
  qemu: QEMU_VERSION,
  plain: capabilities("{}"),
  small: capabilities('{"max_data_xfer_size":64,"max_msg_fds":1}'),
  smallest: capabilities('{"max_data_xfer_size":8,"max_msg_fds":0}'),
  empty: text(""),
  "no end": text('{"capabilities":{}}', 0, ""),
  "only the version": pack("22", 0, 0),
  "minor 65535": pack("22", 0, 0xffff),
  "more after the end": text('{"capabilities":{}}\0{"'),
  "no capabilities": text("{}"),
};
const refused: Readonly<Record<string, Uint8Array>> = {
  nothing: new Uint8Array(0),
  "three bytes": new Uint8Array(3),
  "major 1": text("{}", 1),
  "half of JSON": text('{"capabilities":{"max'),
  "no text": concat(pack("22", 0, 0), new Uint8Array(40).fill(0xff)),
  negative: capabilities('{"max_data_xfer_size":-1}'),
  "too small": capabilities('{"max_data_xfer_size":7}'),
  "a fraction": capabilities('{"max_msg_fds":1.5}'),
  infinite: capabilities('{"max_data_xfer_size":1e999}'),
  "a text": capabilities('{"max_msg_fds":"16"}'),
  nested: capabilities(`{"max_msg_fds":${"[".repeat(3000)}${"]".repeat(3000)}}`),
};

export const versions: Arbitrary<Version> = oneof(
  record({ name: constantFrom(...Object.keys(taken), ...Object.keys(refused)) }),
  record({ json: json() }),
);

/** The payload, and whether the server must take it; undefined if it may do either. */
export function payloadOf(version: Version): { readonly payload: Uint8Array; readonly isTaken?: boolean } {
  if ("json" in version) return { payload: capabilities(version.json) };
  const isTaken = Object.hasOwn(taken, version.name);
  return { payload: (isTaken ? taken : refused)[version.name]!, isTaken };
}

/** The most data of a message that the client then takes. */
export function maxDataBytesOf(version: Version): number {
  const most = "name" in version ? { small: 64, smallest: 8 }[version.name] : undefined;
  return most ?? 2 ** 20;
}
