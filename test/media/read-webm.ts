/** The elements of a WebM, read without the library that wrote it: RFC 8794 (EBML) and RFC 9559 (Matroska). */

const NAMES: Readonly<Record<number, string>> = {
  408125543: "Segment",
  357149030: "Info",
  2807729: "TimestampScale",
  17545: "Duration",
  374648427: "Tracks",
  174: "TrackEntry",
  224: "Video",
  176: "PixelWidth",
  186: "PixelHeight",
  21680: "DisplayWidth",
  21690: "DisplayHeight",
  21682: "DisplayUnit",
  21936: "Colour",
  21937: "MatrixCoefficients",
  21946: "TransferCharacteristics",
  21947: "Primaries",
  21945: "Range",
  524531317: "Cluster",
  231: "Timestamp",
  163: "SimpleBlock",
  475249515: "Cues",
  187: "CuePoint",
  183: "CueTrackPositions",
  179: "CueTime",
  241: "CueClusterPosition",
};
const MASTERS = "Segment Info Tracks TrackEntry Video Colour Cluster Cues CuePoint CueTrackPositions".split(
  " ",
);

export interface WebmPacket {
  readonly key: boolean;
  readonly data: Uint8Array;
  /** In units of the file's TimestampScale. */
  readonly time: number;
  /** Where its cluster begins, as in `clusters`. */
  readonly cluster: number;
}

export interface Webm {
  /** Values by name, in the order of the file: unsigned, and Duration a float. Absent names have no entry. */
  readonly numbers: Readonly<Record<string, readonly number[]>>;
  /** Frames in the order of the file. */
  readonly packets: readonly WebmPacket[];
  /** Where the clusters begin, in bytes from the start of the Segment's data, as Cues count. */
  readonly clusters: readonly number[];
}

/** Reads a complete WebM with one track and no lacing. Throws for an element of unknown size within another. */
export function readWebm(bytes: Buffer): Webm {
  const numbers: Record<string, number[]> = {};
  const packets: Webm["packets"][number][] = [];
  const clusters: number[] = [];
  let segmentStart = 0;
  const walk = (from: number, to: number) => {
    for (let at = from; at < to; ) {
      const start = at;
      const idLength = Math.clz32(bytes[at]!) - 23;
      const name = NAMES[bytes.readUIntBE(at, idLength)] ?? "";
      at += idLength;
      const sizeLength = Math.clz32(bytes[at]!) - 23;
      const size = bytes
        .subarray(at, at + sizeLength)
        .reduce((sum, byte, i) => (i === 0 ? byte - (0x80 >> (sizeLength - 1)) : sum * 256 + byte), 0);
      at += sizeLength;
      const end = at + size;
      if (end > to) throw new Error(`${name || "an element"} at ${start} goes beyond what holds it`);
      if (name === "Segment") segmentStart = at;
      if (name === "Cluster") clusters.push(start - segmentStart);
      if (MASTERS.includes(name)) walk(at, end);
      else if (name === "SimpleBlock")
        packets.push({
          key: (bytes[at + 3]! & 0x80) !== 0,
          data: bytes.subarray(at + 4, end),
          time: numbers.Timestamp!.at(-1)! + bytes.readInt16BE(at + 1),
          cluster: clusters.at(-1)!,
        });
      else if (name === "Duration")
        numbers[name] = [size === 8 ? bytes.readDoubleBE(at) : bytes.readFloatBE(at)];
      else if (name) numbers[name] = [...(numbers[name] ?? []), bytes.readUIntBE(at, size)];
      at = end;
    }
  };
  walk(0, bytes.length);
  return { numbers, packets, clusters };
}
