import { getField, packFields, unpackFields } from "../../registers/fields.ts";
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

const eightBits420 = { I422: 0, I440: 0, I444: 0, BITS_10: 0, BITS_12: 0 };

/** Value of the CAPS register with this codec: libav.js has no layers, and can't change a stream that runs. */
export function capabilities(identity: number): number {
  const { ID } = registers.CODEC.fields;
  if (getField(ID, identity) !== ID.values["LIBAV.JS"]) return registers.CAPS.reset;
  const able = unpackFields(registers.CAPS, registers.CAPS.reset);
  return packFields(registers.CAPS, { ...able, FRAME_CONTROL: 0, TEMPORAL_LAYERS: 0, ...eightBits420 });
}
