import { type Codec, CodecError, type CodecSettings, type Engine } from "./engine.ts";
import { checkFrame, checkSettings, frameLayout, frameViews } from "./layout.ts";

/** Stands in for a version, because there is no codec. */
const version = "null (CRC-32 of each frame)";

export const nullEngine: Engine = { version, open: openNull };

/**
 * A codec that only reads the frame, to measure everything but the codec. A packet has 16 bytes: "NULL", then
 * u32 little-endian CRC-32 of the frame's layout (padding included), the frame's index since opening, the
 * layout's size.
 *
 * @throws {CodecError} for settings out of range
 */
function openNull(settings: CodecSettings): Codec {
  checkSettings(settings);
  const layout = frameLayout(settings);
  const bytesAt = frameViews(layout.sizeBytes);
  let index = 0;
  let sinceKey = 0;
  let closed = false;
  return {
    version,
    encode(frame) {
      if (closed) throw new CodecError("null codec: closed");
      checkFrame(frame, layout);
      const key = index === 0 || frame.forceKey || sinceKey === settings.gopFrames;
      sinceKey = key ? 1 : sinceKey + 1;
      const data = new Uint8Array(new ArrayBuffer(16));
      const words = new DataView(data.buffer);
      words.setUint32(0, 0x4e554c4c); // "NULL"
      words.setUint32(4, Bun.hash.crc32(bytesAt(frame.address)), true);
      words.setUint32(8, index++, true);
      words.setUint32(12, layout.sizeBytes, true);
      return [{ data, key, pts: frame.pts }];
    },
    flush: () => [],
    [Symbol.dispose]: () => {
      closed = true;
    },
  };
}
