/**
 * The VP9 endpoint's register file in BAR0: the one table that the driver, the device model, the messages and
 * docs/encoder.md are all made from.
 *
 * The order of work: write the stream registers and the ring registers, write COMMAND.START, wait until STATUS.STATE
 * is RUNNING (or FAILED, with the reason in ERROR), then fill submission entries and ring SQ_TAIL.
 */
import { type PixelFormat, pixelFormatNames } from "../../pixels/pixel-format.ts";
import type { Register, RegisterTable } from "../../registers/table.ts";

/** The endpoint's ids. They are no proof: 10ee:7022 is a stock id of FPGA designs. The magic register is. */
export const PCI_ID = { vendor: 0x10ee, device: 0x7022, subsystemVendor: 0x10ee, subsystem: 0x0007 } as const;
/** What the magic register reads: "VP9E" as a little-endian word. */
export const MAGIC = 0x45395056;
/** The interface's version here, in VERSION.MAJOR: counts incompatible changes. */
export const INTERFACE_MAJOR = 1;
/** The interface's version here, in VERSION.MINOR: counts additions. */
export const INTERFACE_MINOR = 2;
/** The minor version that added SETTINGS, RATE_CONTROL.Q, and a submission's QUANTIZER and BITRATE. */
export const SETTINGS_MINOR = 1;
/** The minor version that added CHECK to submissions and completions. */
export const CHECK_MINOR = 2;
/** Size of BAR0, which holds the registers. */
export const REGISTER_BYTES = 4096;
/** Size of the window, BAR1. */
export const WINDOW_BYTES = 8 * 1024 * 1024;

/** In a stream register: leave this setting at the codec's own default. */
export const DEFAULT = 0xffff_ffff;

/** FORMAT's codes: those of pixelFormats, numbered from 0. */
const formatCodes = Object.fromEntries(
  pixelFormatNames.map((name, code) => [name.toUpperCase(), code]),
) as Readonly<Record<Uppercase<PixelFormat>, number>>;

/** A stream register that interface 1.1 added. */
function setting(offset: number, range: readonly [number, number], about: string) {
  return { offset, mode: "rw", reset: DEFAULT, range, about } as const;
}

/** The endpoint's register table; docs/encoder.md shows it. */
export const registers = {
  MAGIC: {
    offset: 0x000,
    mode: "ro",
    reset: MAGIC,
    about: 'Always 0x45395056, "VP9E": this is the endpoint',
  },
  VERSION: {
    offset: 0x004,
    mode: "ro",
    reset: (INTERFACE_MAJOR << 16) | INTERFACE_MINOR,
    about: "Interface version; a driver works with every minor version of its major version",
    fields: {
      MINOR: { bits: [0, 15], about: "Counts additions" },
      MAJOR: { bits: [16, 31], about: "Counts incompatible changes" },
    },
  },
  CAPS: {
    offset: 0x008,
    mode: "ro",
    reset: 0x3_ffff,
    about: "Capabilities of the endpoint, one bit each",
    fields: {
      WINDOW: { bits: [0, 0], about: "Frames and packets in BAR1" },
      DMA: { bits: [1, 1], about: "Frames and packets in host memory" },
      SCATTER_GATHER: { bits: [2, 2], about: "Frames in several pieces of host memory" },
      MODERATION: { bits: [3, 3], about: "Fewer interrupts than completions" },
      I420: { bits: [4, 4], about: "Planar 4:2:0 input" },
      NV12: { bits: [5, 5], about: "Semi-planar 4:2:0 input" },
      CBR: { bits: [6, 6], about: "Constant bitrate" },
      VBR: { bits: [7, 7], about: "Variable bitrate" },
      CQ: { bits: [8, 8], about: "Constrained quality" },
      Q: { bits: [9, 9], about: "Constant quality" },
      SETTINGS: { bits: [10, 10], about: "The settings from MIN_Q to COLOR_SPACE" },
      FRAME_CONTROL: { bits: [11, 11], about: "QUANTIZER and BITRATE in submissions" },
      TEMPORAL_LAYERS: { bits: [12, 12], about: "More than one temporal layer" },
      I422: { bits: [13, 13], about: "Planar 4:2:2 input" },
      I440: { bits: [14, 14], about: "Planar 4:4:0 input" },
      I444: { bits: [15, 15], about: "Planar 4:4:4 input" },
      BITS_10: { bits: [16, 16], about: "Planar input of 10 bits" },
      BITS_12: { bits: [17, 17], about: "Planar input of 12 bits" },
    },
  },
  MAX_SIZE: {
    offset: 0x00c,
    mode: "ro",
    reset: (4096 << 16) | 4096,
    about: "Maximum coded size",
    fields: {
      WIDTH: { bits: [0, 15], about: "Pixels" },
      HEIGHT: { bits: [16, 31], about: "Pixels" },
    },
  },
  LIMITS: {
    offset: 0x010,
    mode: "ro",
    reset: (13 << 8) | 10,
    about: "Limits of rings and descriptors",
    fields: {
      RING_LOG2: { bits: [0, 7], about: "Maximum of RING_LOG2" },
      SEGMENTS_LOG2: { bits: [8, 15], about: "Log2 of the maximum number of segments of a frame" },
    },
  },
  WINDOW_SIZE: {
    offset: 0x014,
    mode: "ro",
    reset: WINDOW_BYTES,
    about: "Bytes of BAR1 that rings, frames and packets may use",
  },
  CODEC: {
    offset: 0x018,
    mode: "ro",
    about: "The codec that compresses the frames",
    fields: {
      ID: {
        bits: [0, 7],
        about: "The engine",
        values: { HARDWARE: 0, LIBVPX: 1, NULL: 3, "LIBAV.JS": 4 },
      },
      PATCH: { bits: [8, 15], about: "Its version, third number" },
      MINOR: { bits: [16, 23], about: "Its version, second number" },
      MAJOR: { bits: [24, 31], about: "Its version, first number" },
    },
  },

  COMMAND: {
    offset: 0x040,
    mode: "wo",
    about: "Starts and stops the stream",
    fields: {
      CODE: {
        bits: [0, 7],
        about:
          "START applies the stream and ring registers. STOP drops everything in flight. RESET is a function-level reset of everything but configuration space",
        values: { START: 1, STOP: 2, RESET: 3 },
      },
    },
  },
  STATUS: {
    offset: 0x044,
    mode: "ro",
    about: "State of the endpoint",
    fields: {
      STATE: {
        bits: [0, 7],
        about: "Only STOP or a reset leaves FAILED",
        values: { IDLE: 0, STARTING: 1, RUNNING: 2, FAILED: 3 },
      },
    },
  },
  ERROR: {
    offset: 0x048,
    mode: "ro",
    about: "Why STATE is FAILED",
    fields: {
      CODE: {
        bits: [0, 15],
        about: "The reason",
        values: {
          NONE: 0,
          BAD_VALUE: 1,
          CODEC_REFUSED: 2,
          CODEC_FAILED: 3,
          RING_FAULT: 4,
          BUS_MASTER_OFF: 5,
          BAD_TAIL: 6,
          BAD_COMMAND: 7,
        },
      },
      FIELD: { bits: [16, 31], about: "For BAD_VALUE, the offset of the refused register" },
    },
  },

  VISIBLE_SIZE: {
    offset: 0x080,
    mode: "rw",
    about: "Size of the encoded picture",
    fields: {
      WIDTH: { bits: [0, 15], about: "Pixels, 1 or more" },
      HEIGHT: { bits: [16, 31], about: "Pixels, 1 or more" },
    },
  },
  CODED_SIZE: {
    offset: 0x084,
    mode: "rw",
    about:
      "Layout of frames in memory: packed planes of this size, chroma rounded up; at least the visible size, at most MAX_SIZE",
    fields: {
      WIDTH: { bits: [0, 15], about: "Pixels; also the luma pitch in bytes" },
      HEIGHT: { bits: [16, 31], about: "Pixels" },
    },
  },
  FORMAT: {
    offset: 0x088,
    mode: "rw",
    about: "Pixel format of the input",
    fields: {
      CODE: {
        bits: [0, 31],
        about: "P10 and P12 have 10 or 12 bits per sample, in the low bits of 16; the others have 8",
        values: formatCodes,
      },
    },
  },
  FPS_NUM: { offset: 0x08c, mode: "rw", range: [1, 1e9], about: "Nominal frame rate, numerator" },
  FPS_DEN: { offset: 0x090, mode: "rw", range: [1, 1e9], about: "Nominal frame rate, denominator" },
  TIMEBASE_NUM: {
    offset: 0x094,
    mode: "rw",
    range: [1, 1e9],
    about: "Seconds per tick, the unit of all times, numerator",
  },
  TIMEBASE_DEN: { offset: 0x098, mode: "rw", range: [1, 1e9], about: "The same, denominator" },
  RATE_CONTROL: {
    offset: 0x09c,
    mode: "rw",
    about: "Rate control",
    fields: { MODE: { bits: [0, 31], about: "The mode", values: { VBR: 0, CBR: 1, CQ: 2, Q: 3 } } },
  },
  BITRATE: { offset: 0x0a0, mode: "rw", reset: DEFAULT, range: [1, 1e6], about: "Target bitrate in kbit/s" },
  CQ_LEVEL: {
    offset: 0x0a4,
    mode: "rw",
    reset: DEFAULT,
    range: [0, 63],
    about: "Quality with CQ and Q, 0 is best",
  },
  GOP: {
    offset: 0x0a8,
    mode: "rw",
    reset: DEFAULT,
    range: [0, 1e6],
    about: "Maximum number of frames from one key frame to the next",
  },
  SPEED: {
    offset: 0x0ac,
    mode: "rw",
    reset: DEFAULT,
    range: [-9, 9],
    about: "Speed, higher is faster; 8 bits in two's complement",
  },
  THREADS: { offset: 0x0b0, mode: "rw", reset: 1, range: [1, 64], about: "Codec threads" },

  SPACE: {
    offset: 0x100,
    mode: "rw",
    about: "Address space of rings, frames and packets",
    fields: {
      CODE: {
        bits: [0, 31],
        about: "HOST: I/O virtual addresses, by DMA. WINDOW: offsets into BAR1",
        values: { HOST: 0, WINDOW: 1 },
      },
    },
  },
  SQ_LO: { offset: 0x104, mode: "rw", about: "Address of the submission ring, low half; a multiple of 64" },
  SQ_HI: { offset: 0x108, mode: "rw", about: "The same, high half" },
  CQ_LO: { offset: 0x10c, mode: "rw", about: "Address of the completion ring, low half; a multiple of 64" },
  CQ_HI: { offset: 0x110, mode: "rw", about: "The same, high half" },
  RING_LOG2: { offset: 0x114, mode: "rw", about: "Log2 of the number of entries in each ring; 1 or more" },
  SQ_TAIL: {
    offset: 0x140,
    mode: "rw",
    about: "Doorbell: number of entries submitted since START, modulo 2^32",
  },
  SQ_HEAD: {
    offset: 0x144,
    mode: "ro",
    about: "Number of submissions that the endpoint has taken, modulo 2^32",
  },
  CQ_TAIL: {
    offset: 0x148,
    mode: "ro",
    about: "Number of completions that the endpoint has written, modulo 2^32",
  },

  IRQ_STATUS: {
    offset: 0x180,
    mode: "w1c",
    about: "Events since they were last cleared; set even if the interrupt is disabled",
    fields: {
      COMPLETION: { bits: [0, 0], about: "Completions were written" },
      STATE: { bits: [1, 1], about: "STATUS.STATE changed" },
    },
  },
  IRQ_ENABLE: {
    offset: 0x184,
    mode: "rw",
    about: "Events that raise the interrupt (MSI vector 0, or INTA# if MSI is off)",
    fields: {
      COMPLETION: { bits: [0, 0], about: "As in IRQ_STATUS" },
      STATE: { bits: [1, 1], about: "As in IRQ_STATUS" },
    },
  },
  IRQ_MODERATION: {
    offset: 0x188,
    mode: "rw",
    about:
      "Interrupt moderation: completions are announced once COUNT of them wait or the oldest has waited TIME_US; a flush is announced at once",
    fields: {
      COUNT: { bits: [0, 7], about: "Completions; 0 and 1 announce each one" },
      TIME_US: { bits: [8, 31], about: "Microseconds" },
    },
  },

  FRAMES_LO: {
    offset: 0x200,
    mode: "ro",
    about: "Frames completed without error since the last reset, low half; reading it latches the high half",
  },
  FRAMES_HI: { offset: 0x204, mode: "ro", about: "The same, high half" },
  BYTES_LO: {
    offset: 0x208,
    mode: "ro",
    about: "Packet bytes written since the last reset, low half; reading it latches the high half",
  },
  BYTES_HI: { offset: 0x20c, mode: "ro", about: "The same, high half" },
  BUSY_US_LO: {
    offset: 0x210,
    mode: "ro",
    about:
      "Microseconds that the codec worked since the last reset, low half; reading it latches the high half",
  },
  BUSY_US_HI: { offset: 0x214, mode: "ro", about: "The same, high half" },
  STALLS: {
    offset: 0x218,
    mode: "ro",
    about: "Times that the codec ran out of frames while the stream ran, since the last reset",
  },
  ERRORS: { offset: 0x21c, mode: "ro", about: "Completions with an error since the last reset" },

  MIN_Q: setting(0x300, [0, 63], "Lowest (best) quantizer"),
  MAX_Q: setting(0x304, [0, 63], "Highest (worst) quantizer"),
  UNDERSHOOT: setting(0x308, [0, 100], "How far the bitrate may be below the target, in percent"),
  OVERSHOOT: setting(0x30c, [0, 100], "How far the bitrate may be above the target, in percent"),
  BUF_SIZE: setting(0x310, [0, 1e6], "The decoder's buffer, in milliseconds of video"),
  BUF_INITIAL_SIZE: setting(0x314, [0, 1e6], "The same, how much is in it before playing starts"),
  BUF_OPTIMAL_SIZE: setting(0x318, [0, 1e6], "The same, how much should be in it"),
  DROP_FRAME: setting(0x31c, [0, 100], "Frames are dropped when the buffer is below this, in percent"),
  GOP_MIN: setting(0x320, [0, 1e6], "Minimum number of frames between key frames; libvpx takes 0 or GOP"),
  TILE_COLUMNS: setting(0x324, [0, 6], "Log2 of the most columns of tiles; a tile has at least 256 pixels"),
  TILE_ROWS: setting(0x328, [0, 2], "Log2 of the rows of tiles"),
  ROW_MT: setting(0x32c, [0, 1], "1 divides the work among threads by rows, not only by tile columns"),
  FRAME_PARALLEL: setting(0x330, [0, 1], "1 lets decoders work on several frames at once"),
  AQ_MODE: setting(
    0x334,
    [0, 4],
    "Adaptive quantization: 0 off, 1 variance, 2 complexity, 3 cyclic refresh, 4 equator",
  ),
  NOISE_SENSITIVITY: setting(0x338, [0, 6], "How strongly noise is removed; 0 is off"),
  STATIC_THRESHOLD: setting(0x33c, [0, 1e6], "Blocks with less change than this are skipped"),
  TUNE_CONTENT: setting(0x340, [0, 2], "Kind of content: 0 default, 1 screen, 2 film"),
  ERROR_RESILIENT: setting(0x344, [0, 1], "1 makes frames decodable after a loss"),
  LOSSLESS: setting(0x348, [0, 1], "1 keeps every sample's value"),
  SHARPNESS: setting(0x34c, [0, 7], "Sharpness of the loop filter"),
  MAX_INTRA_RATE: setting(0x350, [0, 1e6], "Largest key frame, in percent of a frame's share of the bitrate"),
  COLOR_SPACE: setting(
    0x354,
    [0, 5],
    "What the VP9 says of its colours: 0 unknown, 1 BT.601, 2 BT.709, 3 SMPTE 170, 4 SMPTE 240, 5 BT.2020",
  ),
  TEMPORAL_LAYERS: {
    offset: 0x358,
    mode: "rw",
    reset: 1,
    range: [1, 3],
    about:
      "Temporal layers: with 2 every second frame can be left out, with 3 also every second one of the others",
  },
} as const satisfies RegisterTable;

/** A register's meaning and the values it takes, for messages and the document. */
export function registerMeaning({ about, range, reset }: Register): string {
  const values = range ? `; ${range[0]} to ${range[1]}${reset === DEFAULT ? ", or DEFAULT" : ""}` : "";
  return about + values;
}
