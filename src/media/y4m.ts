/**
 * YUV4MPEG2 ("y4m"): one header line of tagged words, then for each frame a line that begins with FRAME and
 * the raw planes. Source: yuv4mpeg(5) of mjpegtools, whose older writers name the chroma layout in an XYSCSS
 * comment.
 */

import type { PixelFormat } from "../pixels/pixel-format.ts";
import { quoted } from "./media-error.ts";
import { checkFps, checkSize, MediaError, type Rational } from "./video.ts";

/** The start of every y4m file. */
export const Y4M_MAGIC = "YUV4MPEG2";
/** A frame line without parameters, as nearly every file has. */
export const Y4M_FRAME = "FRAME\n";

/** 8-bit 4:2:0 that vpxenc encodes as it is. They differ only in chroma siting, which VP9 does not record. */
const CHROMA_420 = ["420", "420jpeg", "420mpeg2"];
/** 8-bit luma without chroma, which vpxenc encodes as grey. */
const LUMA_ONLY = "mono";
/** The others that VP9 has, as ffmpeg names them: subsampling and bits. */
const OTHER_PROFILE = /^(420|422|440|444)(p1[02])?$/;
/** Other layouts of yuv4mpeg(5) and of ffmpeg: subsampling, alpha, bits. */
const OTHER_CHROMA = /^(mono|4(?:10|11|20|22|40|44))(alpha)?p?(9|1[0-6])?$/;
/**
 * ffmpeg options that move chroma samples sideways to 420jpeg's positions. They do not move Cb up or Cr down,
 * because ffmpeg assumes both on the same lines. ffmpeg moves nothing unless the layout changes, too.
 */
const FROM_PALDV =
  '-vf "scale=in_h_chr_pos=0:in_v_chr_pos=128,format=yuv444p,scale=out_h_chr_pos=128:out_v_chr_pos=128,format=yuv420p" ' +
  "-chroma_sample_location center";
const INTERLACING: Readonly<Record<string, string>> = {
  t: "top field first",
  b: "bottom field first",
  m: "in some frames",
};

/** A header line, and its file's name: for messages, and as a word of a shell's command line. */
export interface Y4mLine {
  readonly line: string;
  readonly name: string;
  readonly word: string;
}

/** The header's contents, except the frame rate. */
export interface Y4mHeader {
  readonly width: number;
  readonly height: number;
  readonly format: PixelFormat | "mono";
  /** Absent if pixels are square or nothing is known of them. */
  readonly pixelAspect?: Rational;
  /** XCOLORRANGE, as ffmpeg writes it; absent if it is missing or anything but FULL and LIMITED. */
  readonly fullRange?: boolean;
}

/**
 * Parses the header line (without its newline), except the frame rate: see {@link y4mRate}.
 * @throws MediaError for a missing or absurd size, a malformed pixel aspect, interlaced video, or samples
 * that are neither as VP9 has them nor 8-bit luma alone
 */
export function parseY4mHeader(header: Y4mLine): Y4mHeader {
  const size = { width: side(header, "W"), height: side(header, "H") };
  checkSize(size, `${header.name}: the y4m header ${shown(header)} lies`);
  checkInterlacing(header);
  return {
    ...size,
    format: format(header),
    ...pixelAspect(header),
    ...range(header),
  };
}

/** The frame rate of the header line. Throws MediaError if it is missing, unknown ("F0:0") or malformed. */
export function y4mRate(header: Y4mLine): Rational {
  const text = tagged(header, "F");
  if (text === undefined || text === "0:0")
    throw new MediaError(
      `${header.name}: the y4m header does not say the frame rate: ${shown(header)}. Give it`,
      { missing: ["fps"] },
    );
  const where = `${header.name}: ${quoted(`F${text}`)} in ${shown(header)}`;
  const [, num, den] = /^(\d+):(\d+)$/.exec(text) ?? [];
  if (!Number(num) || !Number(den))
    throw new MediaError(`${where} is not a frame rate such as F25:1. Give it`, {
      missing: ["fps"],
    });
  const fps = { num: Number(num), den: Number(den) };
  checkFps(fps, where);
  return fps;
}

/** The value of the last word with this tag. */
function tagged({ line }: Y4mLine, tag: string): string | undefined {
  const [, ...words] = line.split(" ");
  return words.findLast((word) => word.startsWith(tag))?.slice(tag.length);
}

/** The line for a message; only its beginning if it is long. */
function shown({ line }: Y4mLine): string {
  return quoted(line.length > 200 ? `${line.slice(0, 200)}...` : line);
}

function side(header: Y4mLine, tag: "W" | "H"): number {
  const text = tagged(header, tag);
  if (text === undefined)
    throw new MediaError(
      `${header.name}: the y4m header has no ${tag === "W" ? "width (W)" : "height (H)"}: ${shown(header)}. ` +
        "The file is damaged, or not written by a y4m writer; write it again, or give raw video and its size",
    );
  return /^-?[\d.]+$/.test(text) ? Number(text) : Number.NaN;
}

function pixelAspect(header: Y4mLine): Pick<Y4mHeader, "pixelAspect"> {
  const text = tagged(header, "A");
  if (text === undefined) return {};
  const [, left, right] = /^(\d{1,9}):(\d{1,9})$/.exec(text) ?? [];
  if (left === undefined)
    throw new MediaError(
      `${header.name}: ${quoted(`A${text}`)} in ${shown(header)} is not a pixel aspect such as A1:1 or A16:11. ` +
        "The file is damaged, or not written by a y4m writer; write it again",
    );
  const [num, den] = [Number(left), Number(right)];
  return num === den || num === 0 || den === 0 ? {} : { pixelAspect: { num, den } };
}

function range(header: Y4mLine): Pick<Y4mHeader, "fullRange"> {
  const text = tagged(header, "XCOLORRANGE=");
  return text === "FULL" || text === "LIMITED" ? { fullRange: text === "FULL" } : {};
}

function checkInterlacing(header: Y4mLine): void {
  const text = tagged(header, "I");
  if (text === undefined || text === "p" || text === "?") return;
  const { name, word } = header;
  if (!Object.hasOwn(INTERLACING, text))
    throw new MediaError(
      `${name}: ${quoted(`I${text}`)} in ${shown(header)} is not one of Ip (progressive), It, Ib, Im (interlaced) or I? ` +
        "(unknown). The file is damaged, or not written by a y4m writer; write it again",
    );
  throw new MediaError(
    `${name}: the video is interlaced (I${text}: ${INTERLACING[text]}), and VP9 is progressive only. ` +
      `Deinterlace it: ffmpeg -i ${word} -vf yadif -f yuv4mpegpipe out.y4m`,
  );
}

function format(header: Y4mLine): Y4mHeader["format"] {
  const chroma = tagged(header, "C") ?? tagged(header, "XYSCSS=")?.toLowerCase() ?? "420jpeg";
  if (CHROMA_420.includes(chroma)) return "i420";
  if (chroma === LUMA_ONLY) return "mono";
  if (OTHER_PROFILE.test(chroma)) return `i${chroma}` as PixelFormat;
  const { name, word } = header;
  if (chroma === "420paldv")
    throw new MediaError(
      `${name}: the chroma samples are sited as in PAL DV (C420paldv), which VP9 can't signal. ` +
        `Move them most of the way: ffmpeg -i ${word} ${FROM_PALDV} -f yuv4mpegpipe out.y4m`,
    );
  const [, layout, alpha, bits = "8"] = OTHER_CHROMA.exec(chroma) ?? [];
  if (layout === undefined)
    throw new MediaError(
      `${name}: ${quoted(`C${chroma}`)} in ${shown(header)} names an unknown chroma layout. ` +
        "If the video is 8-bit 4:2:0, rewrite the header with C420jpeg",
    );
  const kind = layout === "mono" ? "monochrome" : [...layout].join(":");
  // By default ffmpeg takes grey for full range and compresses it, and dithers the chroma that it adds.
  const keep = layout === "mono" ? "-vf scale=in_range=tv:out_range=tv -pix_fmt gray" : "-pix_fmt yuv420p";
  throw new MediaError(
    `${name}: the video is ${bits}-bit ${kind}${alpha ? " with alpha" : ""} (C${chroma}), which VP9 has not: it has 4:2:0, 4:2:2, ` +
      `4:4:0 and 4:4:4 in 8, 10 or 12 bits, and 8-bit monochrome is taken as 4:2:0. Convert it: ffmpeg -i ${word} ${keep} -f yuv4mpegpipe out.y4m`,
  );
}

/** Bytes as text. */
export function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
