/**
 * YUV4MPEG2 ("y4m"): one header line of tagged words, then for each frame a line that begins with FRAME and the raw
 * planes. Source: yuv4mpeg(5) of mjpegtools; the XYSCSS comment is how its older writers named the chroma layout.
 */
import { checkSize, MediaError, type Rational } from "./video.ts";

/** How every y4m file begins. */
export const Y4M_MAGIC = "YUV4MPEG2";
/** Longest header or frame line taken, in bytes. */
export const Y4M_LINE_LIMIT = 4096;
/** A frame line without parameters, as nearly every file has. */
export const Y4M_FRAME = "FRAME\n";

/** 8-bit 4:2:0; they differ only in where the chroma samples sit, which VP9 doesn't record. */
const CHROMA_420 = ["420", "420jpeg", "420mpeg2", "420paldv"];

/** What the header says. `fps` is null when it is missing or unknown ("F0:0"). */
export interface Y4mHeader {
  readonly width: number;
  readonly height: number;
  readonly fps: Rational | null;
}

/**
 * Reads the header line (without its newline). Interlacing (I), sample aspect (A) and comments (X) are accepted and
 * not used: VP9 has no place for them.
 * @param name the file, for messages
 * @throws MediaError for a missing or absurd size, a malformed rate, or chroma other than 8-bit 4:2:0
 */
export function parseY4mHeader(line: string, name: string): Y4mHeader {
  const [, ...words] = line.split(" ");
  const value = (tag: string) => words.find((word) => word.startsWith(tag))?.slice(tag.length);
  const side = (tag: "W" | "H") => {
    const text = value(tag);
    if (text === undefined)
      throw new MediaError(
        `${name}: the y4m header has no ${tag === "W" ? "width (W)" : "height (H)"}: "${line}". ` +
          "The file is damaged, or not written by a y4m writer; write it again, or give raw video with --size WxH",
      );
    return /^-?[\d.]+$/.test(text) ? Number(text) : Number.NaN;
  };
  const size = { width: side("W"), height: side("H") };
  checkSize(size, `${name}: the y4m header "${line}" lies`);

  const chroma = value("C") ?? value("XYSCSS=")?.toLowerCase() ?? "420jpeg";
  if (!CHROMA_420.includes(chroma))
    throw new MediaError(
      `${name}: the video is ${chromaName(chroma)} (C${chroma}), and only 8-bit 4:2:0 can be encoded. ` +
        `Convert it: ffmpeg -i ${name.startsWith('"') ? name : "-"} -pix_fmt yuv420p -f yuv4mpegpipe out.y4m`,
    );
  return { ...size, fps: parseRate(value("F"), line, name) };
}

function parseRate(text: string | undefined, line: string, name: string): Rational | null {
  if (text === undefined || text === "0:0") return null;
  const [, num, den] = /^(\d{1,10}):(\d{1,10})$/.exec(text) ?? [];
  const fps = { num: Number(num), den: Number(den) };
  if (!(fps.num > 0 && fps.den > 0 && fps.num <= 0x7fff_ffff && fps.den <= 0x7fff_ffff))
    throw new MediaError(`${name}: the frame rate "F${text}" in "${line}" is none; give it with --fps N[/D]`);
  return fps;
}

function chromaName(chroma: string): string {
  const layout = chroma.startsWith("mono") ? "monochrome" : chroma.replace(/^4(\d)(\d).*$/, "4:$1:$2");
  const bits = /(?:p|mono)(\d+)$/.exec(chroma)?.[1] ?? "8";
  return `${bits}-bit ${layout}${chroma.endsWith("alpha") ? " with alpha" : ""}`;
}
