import { getField, packFields } from "../../registers/fields.ts";
import type { CodecName } from "../codec/engine.ts";
import { registers } from "../contract/registers.ts";

/** Value of the CODEC register: the engine, and its version as far as that is three numbers. */
export function codecIdentity(name: CodecName, version: string): number {
  const ids = registers.CODEC.fields.ID.values;
  const [major = 0, minor = 0, patch = 0] = (/(\d+)\.(\d+)(?:\.(\d+))?/.exec(version)?.slice(1) ?? []).map(
    Number,
  );
  return packFields(registers.CODEC, {
    ID: {
      libvpx: ids.LIBVPX,
      embedded: ids.LIBVPX,
      debian: ids.LIBVPX,
      "libav.js": ids["LIBAV.JS"],
      null: ids.NULL,
    }[name],
    MAJOR: major & 0xff,
    MINOR: minor & 0xff,
    PATCH: patch & 0xff,
  });
}

/** Value of the CAPS register with this codec: libav.js can't change a stream that runs. */
export function capabilities(identity: number): number {
  const { ID } = registers.CODEC.fields;
  const { reset, fields } = registers.CAPS;
  return getField(ID, identity) === ID.values["LIBAV.JS"]
    ? reset & ~(1 << fields.FRAME_CONTROL.bits[0])
    : reset;
}
