/** Configuration spaces with capabilities of pseudo-random content, the same ones on each run. */
import { Config, Status } from "../../src/pci/config-offsets.ts";
import type { Space } from "./lspci.ts";

const STANDARD_AT = 0x80;
const EXTENDED_AT = 0x100;
const EXPRESS_AT = 0x40;
/** As much of the 4096 as any of these capabilities takes. */
const SPACE_BYTES = 0x300;
const PORT_TYPES = [0, 1, 4, 5, 6, 7, 8, 9, 10, 0, 4, 13];

/** Numbers below 2^32 (the generator mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

interface Draw {
  readonly view: DataView;
  /** Where the capability starts. */
  readonly at: number;
  /** A number from 0 to `below` - 1. */
  readonly random: (below: number) => number;
}

export interface Kind {
  readonly id: number;
  /** Makes random bytes a valid capability, where not all are. */
  readonly shape?: (draw: Draw) => void;
}

/** A header with these capabilities behind it: Express always, so that the extended ones are looked at. */
export function syntheticSpace(
  random32: () => number,
  standard: Kind | undefined,
  extended: Kind | undefined,
): Space {
  const bytes = new Uint8Array(SPACE_BYTES);
  const view = new DataView(bytes.buffer);
  const random = (below: number) => random32() % below;
  for (let at = 0; at < SPACE_BYTES; at += 4) view.setUint32(at, random32(), true);

  header(view, random);
  view.setUint8(EXPRESS_AT, 0x10);
  view.setUint8(EXPRESS_AT + 1, standard ? STANDARD_AT : 0);
  const port = PORT_TYPES[random(PORT_TYPES.length)]!;
  view.setUint16(EXPRESS_AT + 2, (random32() & 0xff00) | (port << 4) | (random(4) === 0 ? 1 : 2), true);
  // Real devices leave link capabilities 2 empty often enough.
  if (random(3) === 0) view.setUint32(EXPRESS_AT + 0x2c, 0, true);
  if (standard) {
    view.setUint8(STANDARD_AT, standard.id);
    view.setUint8(STANDARD_AT + 1, 0);
    standard.shape?.({ view, at: STANDARD_AT, random });
  }
  if (extended) {
    view.setUint32(EXTENDED_AT, (extended.id | ((1 + random(3)) << 16)) >>> 0, true);
    extended.shape?.({ view, at: EXTENDED_AT, random });
  } else {
    view.setUint32(EXTENDED_AT, 0, true);
  }
  const ids = [standard?.id, extended?.id].map((id) => (id === undefined ? "none" : id.toString(16)));
  return { bytes, name: `port type ${port}, capability ${ids[0]}, extended capability ${ids[1]}` };
}

function header(view: DataView, random: (below: number) => number): void {
  const bridge = random(3) === 0;
  view.setUint16(Config.VENDOR_ID, 0x10ee, true);
  view.setUint16(Config.DEVICE_ID, 0x7022, true);
  view.setUint16(Config.STATUS, view.getUint16(Config.STATUS, true) | Status.CAPABILITIES, true);
  view.setUint8(Config.CLASS + 2, bridge ? 0x06 : 0x05);
  view.setUint8(Config.CLASS + 1, bridge ? 0x04 : 0x80);
  view.setUint8(Config.HEADER_TYPE, bridge ? 1 : 0);
  view.setUint8(Config.CAPABILITIES, EXPRESS_AT);
  view.setUint8(Config.INTERRUPT_PIN, random(5));
  // Memory, I/O and no BARs; a 64-bit one below 4 GB, and never in the last slot.
  const bars = bridge ? 2 : 6;
  for (let i = 0; i < bars; i++) {
    const offset = Config.BAR0 + 4 * i;
    const address = (random(0xffff) << 16) >>> 0;
    const low = [0, 0, address, address | 8, address | 1][random(5)]!;
    view.setUint32(offset, low, true);
    if (i + 1 < bars && random(6) === 0) {
      view.setUint32(offset, (address | 0xc) >>> 0, true);
      view.setUint32(offset + 4, 0, true);
      i++;
    }
  }
  if (!bridge) {
    view.setUint32(Config.EXPANSION_ROM, random(2) ? (random(0xffff) << 16) | random(2) : 0, true);
    return;
  }
  // Windows whose base and limit say the same of their width: 16 or 32, and 32 or 64 bits.
  const wideIo = random(2);
  for (const offset of [0x1c, 0x1d]) view.setUint8(offset, (view.getUint8(offset) & 0xf0) | wideIo);
  for (const offset of [0x20, 0x22]) view.setUint16(offset, view.getUint16(offset, true) & 0xfff0, true);
  const wide = random(2);
  for (const offset of [0x24, 0x26])
    view.setUint16(offset, (view.getUint16(offset, true) & 0xfff0) | wide, true);
  // Below 2^40: lspci counts the units of a size in 32 bits.
  for (const offset of [0x28, 0x2c]) view.setUint32(offset, random(256), true);
  view.setUint32(0x38, random(2) ? (random(0xffff) << 16) | random(2) : 0, true);
}

/** A CardBus bridge's header: one region, two windows of memory and two of I/O. */
export function cardBusSpace(random32: () => number): Space {
  const bytes = new Uint8Array(128);
  const view = new DataView(bytes.buffer);
  const random = (below: number) => random32() % below;
  for (let at = 0; at < bytes.byteLength; at += 4) view.setUint32(at, random32(), true);
  view.setUint16(Config.VENDOR_ID, 0x1217, true);
  view.setUint16(Config.STATUS, view.getUint16(Config.STATUS, true) & ~Status.CAPABILITIES, true);
  view.setUint16(Config.CLASS + 1, 0x0607, true);
  view.setUint8(Config.HEADER_TYPE, 2);
  view.setUint8(Config.INTERRUPT_PIN, random(5));
  view.setUint32(Config.BAR0, (random(0xffff) << 16) >>> 0, true);
  // Memory windows begin and end with a page.
  for (const offset of [0x1c, 0x20, 0x24, 0x28]) view.setUint32(offset, (random(0xfffff) << 12) >>> 0, true);
  if (random(4) === 0) view.setUint16(0x44, 0, true);
  return { bytes, name: "CardBus bridge" };
}

const CXL = 0x1e98;

/** Every standard capability that has bits of its own. */
export const standardKinds: readonly Kind[] = [
  ...[
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x11, 0x12,
    0x13, 0x15, 0x42,
  ].map((id) => ({ id })),
  { id: 0x05 },
  { id: 0x09 },
  { id: 0x09, shape: ({ view, at, random }) => virtio(view, at, random) },
  { id: 0x08, shape: ({ view, at, random }) => view.setUint16(at + 2, 0xa800 | random(4), true) },
  { id: 0x08, shape: ({ view, at, random }) => view.setUint16(at + 2, 0x8800 | random(256), true) },
  { id: 0x12, shape: ({ view, at, random }) => view.setUint8(at + 4, (random(16) << 4) | (4 + random(6))) },
  {
    id: 0x14,
    shape: ({ view, at, random }) => {
      view.setUint8(at + 2, random(3));
      const bridge = view.getUint8(Config.HEADER_TYPE) === 1;
      // Entries of five double words, which have room for whatever their flags say.
      for (let i = 0; i < 3; i++) {
        const entry = at + (bridge ? 8 : 4) + i * 24;
        view.setUint8(entry, (view.getUint8(entry) & 0xf8) | 5);
        if (random(2)) view.setUint8(entry + 1, [0, 1, 2, 3, 4, 5, 6, 7, 0xfd, 0xfe, 0xff][random(11)]!);
        if (random(2)) view.setUint8(entry + 2, [0, 1, 2, 3, 4, 5, 6, 7, 0xfd, 0xfe, 0xff][random(11)]!);
      }
    },
  },
];

function virtio(view: DataView, at: number, random: (below: number) => number): void {
  view.setUint16(Config.VENDOR_ID, 0x1af4, true);
  view.setUint16(Config.DEVICE_ID, 0x1000 + random(0x80), true);
  view.setUint8(at + 2, [12, 16, 20][random(3)]!);
  view.setUint8(at + 3, random(6));
}

/** A DVSEC's header: vendor, revision and length, then its id. */
function dvsec(vendor: number, id: number, lengths: readonly number[]): Kind {
  return {
    id: 0x23,
    shape: ({ view, at, random }) => {
      const length = lengths[random(lengths.length)]!;
      view.setUint32(at + 4, (vendor | (random(4) << 16) | (length << 20)) >>> 0, true);
      view.setUint16(at + 8, id, true);
      if (id !== 0) return;
      // Codes without a meaning make lspci read past the end of its tables.
      for (const range of [at + 0x1c, at + 0x2c]) {
        const codes = random(4) | (random(3) << 2) | (random(3) << 5) | (random(8) << 8) | (random(8) << 13);
        view.setUint16(range, codes, true);
      }
    },
  };
}

/** Every extended capability that has a name, and two that have none. */
export const extendedKinds: readonly Kind[] = [
  ...Array.from({ length: 0x33 }, (_, id) => id)
    .filter((id) => ![0x05, 0x07, 0x12, 0x15, 0x18, 0x1e, 0x23, 0x24].includes(id))
    .map((id) => ({ id })),
  { id: 0x1234 },
  { id: 0x05, shape: ({ view, at, random }) => view.setUint8(at + 5, random(6)) },
  { id: 0x07 },
  { id: 0x07, shape: ({ view, at }) => view.setUint32(at + 4, 0, true) },
  { id: 0x07, shape: ({ view, at }) => view.setUint32(at + 8, 0x0000_ff00, true) },
  // Windows that fit 31 bits: beyond that lspci shifts a 32-bit number too far.
  ...[0x12].map(
    (id): Kind => ({
      id,
      shape: ({ view, at, random }) => {
        view.setUint8(at + 5, (random(2) << 7) | random(31));
        view.setUint8(at + 0x28, random(31));
      },
    }),
  ),
  ...[0x15, 0x24].flatMap((id): Kind[] => [
    { id },
    { id, shape: ({ view, at, random }) => view.setUint8(at + 8, ((1 + random(6)) << 5) | random(8)) },
    {
      id,
      shape: ({ view, at }) => {
        view.setUint8(at + 8, 1 << 5);
        view.setUint8(at + 4, view.getUint8(at + 4) & 0xf);
        view.setUint8(at + 5, 0);
        view.setUint16(at + 6, 0, true);
        view.setUint16(at + 10, 0, true);
      },
    },
  ]),
  {
    id: 0x18,
    // Scales 6 and 7 are not permitted, and make lspci shift a 32-bit number too far.
    shape: ({ view, at, random }) => {
      for (const offset of [at + 5, at + 7]) view.setUint8(offset, random(4) | (random(6) << 2));
    },
  },
  { id: 0x1e },
  { id: 0x1e, shape: ({ view, at }) => view.setUint8(at + 4, view.getUint8(at + 4) & ~5) },
  dvsec(0x8086, 3, [16, 64]),
  dvsec(CXL, 0, [0x20, 0x38, 0x3c]),
  dvsec(CXL, 2, [0x2c]),
  dvsec(CXL, 3, [0x20, 0x28]),
  dvsec(CXL, 4, [0x10]),
  dvsec(CXL, 5, [0x10]),
  dvsec(CXL, 7, [0x20]),
  dvsec(CXL, 8, [0x14, 0x24, 0x25, 0x3c]),
  dvsec(CXL, 9, [0x10]),
  {
    id: 0x23,
    shape: (draw) => {
      dvsec(CXL, 9, [0x10]).shape?.(draw);
      draw.view.setUint16(draw.at + 10, draw.random(20), true);
    },
  },
  dvsec(CXL, 12, [0x10]),
  dvsec(CXL, 0, [8]),
];

const extendedKind = (id: number, shape?: Kind["shape"]) => ({
  standard: undefined,
  extended: { id, ...(shape && { shape }) },
});
const standardKind = (id: number, shape: NonNullable<Kind["shape"]>) => ({
  standard: { id, shape },
  extended: undefined,
});

/** Intel's capability with as many bytes, of this version and type. */
const intel = (sizeBytes: number, version: number, type: number) =>
  standardKind(0x09, ({ view, at }) => {
    view.setUint16(Config.VENDOR_ID, 0x8086, true);
    view.setUint16(at + 2, sizeBytes | (version << 8) | (type << 12), true);
  });

/** A few streams, so that they fit. */
const encryption = extendedKind(0x30, ({ view, at, random }) => {
  view.setUint16(at + 4, (view.getUint16(at + 4, true) & 0x1fff) | (random(3) << 13), true);
  view.setUint8(at + 6, random(2));
  // Link streams of 8 bytes, then selective ones of 20 and 12 for each range.
  for (let offset = at + 12; offset < at + 12 + 3 * 8; offset += 4)
    view.setUint32(offset, view.getUint32(offset, true) & ~0xe, true);
  const links = view.getUint8(at + 4) & 1 ? (view.getUint16(at + 4, true) >> 13) + 1 : 0;
  for (let stream = 0, offset = at + 12 + links * 8; stream < 2; stream++, offset += 20 + 2 * 12)
    view.setUint32(offset, 2, true);
});

/** What lspci 3.9 does not know, or words otherwise than 3.15. */
export const newKinds: readonly {
  readonly standard: Kind | undefined;
  readonly extended: Kind | undefined;
}[] = [
  intel(16, 1, 0),
  intel(16, 1, 0),
  intel(8, 1, 0),
  intel(16, 2, 0),
  intel(16, 1, 1),
  intel(16, 1, 2),
  standardKind(0x09, (draw) => {
    virtio(draw.view, draw.at, draw.random);
    draw.view.setUint8(draw.at + 2, 24);
    draw.view.setUint8(draw.at + 3, 8);
  }),
  ...[0x01, 0x10, 0x13, 0x1d, 0x1f, 0x26, 0x27, 0x2a, 0x2e, 0x2f, 0x2f, 0x31, 0x32, 0x34].map((id) =>
    extendedKind(id),
  ),
  encryption,
  encryption,
  extendedKind(0x36, ({ view, at, random }) => view.setUint16(at + 4, 8 * (1 + random(6)), true)),
  ...[
    dvsec(CXL, 0, [0x38, 0x3c]),
    dvsec(CXL, 0, [0x3c]),
    dvsec(CXL, 2, [0x2c]),
    dvsec(CXL, 3, [0x28]),
    dvsec(CXL, 4, [0x10]),
    dvsec(CXL, 5, [0x10]),
    dvsec(CXL, 7, [0x20, 0x24]),
    dvsec(CXL, 7, [0x20]),
    dvsec(CXL, 8, [0x24]),
    dvsec(CXL, 9, [0x10]),
    dvsec(CXL, 0xa, [0x10]),
    dvsec(CXL, 12, [0x10]),
  ].map((extended) => ({ standard: undefined, extended })),
];
