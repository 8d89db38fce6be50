/** Whether encode.ts made of an input, and of its output, what it should. */
import { expectPrefix, type HeldPackets, ivfPackets, webmPackets } from "../packets.ts";
import type { Exit } from "../program.ts";
import type { InputCase } from "./case.ts";
import { type Content, nullPacket, type Reading } from "./content.ts";
import type { Destination } from "./destination.ts";
import type { Origin } from "./origin.ts";

export interface Ended {
  readonly exit: Exit;
  readonly said: string;
  /** What --json printed. */
  readonly json: { readonly frames?: number; readonly error?: string } | undefined;
}

const DONE = 0;
const DEVICE = 1;
const USAGE = 2;
const INPUT = 3;
const OUTPUT = 4;

/** The exit codes that an input and an output may have, and the frames that the output then has. */
interface Expected {
  readonly code: number;
  /** Frames in the output, exactly or at least; undefined if nothing is known of them. */
  readonly frames?: number;
  readonly atLeast?: number;
}

/** Frames to read of an endless input. */
export const ENDLESS_FRAMES = 5;

function expectedOf(one: InputCase, content: Content, origin: Origin, destination: Destination): Expected[] {
  if (!content.usable || destination.writable === "never") return [{ code: USAGE }];
  const readings = readingsOf(one, content, origin);
  return readings.flatMap((reading): Expected[] => {
    if (!reading.fits) return [{ code: DEVICE }];
    const frames = reading.frames.length;
    if (frames === 0) return [{ code: INPUT }];
    if (destination.writable === false) return [{ code: OUTPUT }];
    const ended: Expected = { code: reading.whole ? DONE : INPUT, frames };
    // What comes first when a disk fills up depends on how far reading is ahead.
    return destination.writable === "to a point" ? [ended, { code: OUTPUT, atLeast: 1 }] : [ended];
  });
}

/** How the input may be read: one way, or more if it changes in the meantime. */
function readingsOf(one: InputCase, content: Content, { versions }: Origin): Reading[] {
  const { from } = one;
  const [first, last] = versions.map((bytes) => content.reading(bytes));
  // Zeros are no y4m, whatever size the case's y4m has.
  const isNoY4m = from === "/dev/zero" && one.content.kind === "y4m";
  if (first === undefined || isNoY4m) return [{ frames: [], whole: false, fits: true }];
  if (from === "/dev/zero")
    return [{ ...first, frames: first.frames.slice(0, ENDLESS_FRAMES), whole: first.frames.length > 0 }];
  return last === undefined ? [first] : [first, last];
}

/** Throws Error for what encode.ts should not have done. Returns what is counted. */
export function judge(
  one: InputCase,
  content: Content,
  origin: Origin,
  destination: Destination,
  { exit, said, json }: Ended,
): string[] {
  const wrong = (why: string) =>
    new Error(`${why}: ${JSON.stringify(exit)}: ${said}${JSON.stringify(json) ?? ""}`);
  const changes = origin.versions.length > 1;
  const expected = expectedOf(one, content, origin, destination);
  const code = exit.code;
  const fitting = expected.filter((some) => some.code === code);
  // A file that is cut short or still written while it is read is an error, at any frame; but nothing is lost silently.
  const midway =
    changes && code === INPUT && expected.some((some) => some.code === INPUT || some.code === DONE);
  if (code === null || (fitting.length === 0 && !midway))
    throw wrong(`the exit code should be ${expected.map((some) => some.code).join(" or ")}`);

  const held = destination.held();
  const begun = expected.some(
    ({ code, frames, atLeast }) => code === OUTPUT || frames !== undefined || atLeast !== undefined,
  );
  const destroyed = destination.before !== undefined && !destination.before.equals(held ?? Buffer.alloc(0));
  if (destroyed && !begun) throw wrong("an existing file was destroyed before there was a frame");
  const frames =
    destroyed || destination.before === undefined ? framesOf(one, content, origin, destination, held) : 0;
  if (
    frames !== undefined &&
    !midway &&
    !fitting.some((some) => (some.frames ?? frames) === frames && frames >= (some.atLeast ?? 0))
  )
    throw wrong(`the output has ${frames} frames, not ${fitting.map((some) => some.frames).join(" or ")}`);
  if (
    code === DONE &&
    frames !== undefined &&
    one.from === "shrinking file" &&
    origin.versions[0] !== undefined
  ) {
    const all = content.reading(origin.versions[0]).frames.length;
    if (frames < all) throw wrong(`${all - frames} frames of a file that shrank are missing silently`);
  }
  checkWords(one, origin, destination, code, said, json, frames, wrong);
  return [
    `exit code ${code}`,
    `input ${one.from}: ${code}`,
    `output ${one.to}: ${code}`,
    ...(code !== DONE && frames !== undefined && frames > 0
      ? ["an error after some frames, which are kept"]
      : []),
    ...(destination.before !== undefined && !destroyed ? ["an existing file left alone"] : []),
  ];
}

/** The frames in the output. Throws Error if it is not a valid file with the packets of the input's first frames. */
function framesOf(
  { codec, from }: InputCase,
  content: Content,
  origin: Origin,
  { container, name }: Destination,
  bytes: Buffer | undefined,
): number | undefined {
  if (bytes === undefined || bytes.length === 0) return bytes === undefined ? undefined : 0;
  const held: HeldPackets = container === "ivf" ? ivfPackets(bytes) : webmPackets(bytes);
  const count = held.packets.length;
  if (held.cutBytes > 0) throw new Error(`the output has ${held.cutBytes} bytes after its last frame`);
  const counted =
    held.headerFrames === undefined ||
    held.headerFrames === count ||
    (name === "-" && held.headerFrames === 0);
  if (!counted) throw new Error(`the output has ${count} frames, and its header says ${held.headerFrames}`);
  const longest = origin.versions
    .map((version) => content.reading(version).frames)
    .sort((a, b) => b.length - a.length)[0];
  const frames = longest ?? [];
  if (codec === "null") expectPrefix(held.packets, frames.map(nullPacket));
  else if (count > frames.length && from !== "/dev/zero")
    throw new Error(`the output has ${count} frames, the input ${frames.length}`);
  return count;
}

/** The error names what it is about, and counts what the output holds. */
function checkWords(
  one: InputCase,
  origin: Origin,
  destination: Destination,
  code: number,
  said: string,
  json: Ended["json"],
  frames: number | undefined,
  wrong: (why: string) => Error,
): void {
  const error = one.json ? (json?.error ?? "") : said;
  const inputName = origin.name === "-" ? "standard input" : origin.name;
  const outputName = destination.name === "-" ? "standard output" : destination.name;
  if (code === DONE && one.json && json?.error !== undefined)
    throw wrong("there is no error, and yet one in the JSON");
  if (code === INPUT && !error.includes(inputName)) throw wrong("the error does not name the input");
  if (code === OUTPUT && !error.includes(outputName)) throw wrong("the error does not name the output");
  if (code !== DONE && error.trim() === "") throw wrong("it failed without a word");
  if (one.json && json?.frames !== undefined && frames !== undefined && json.frames !== frames)
    throw wrong(`the JSON says ${json.frames} frames, and the output has ${frames}`);
  const [, holds] = /holds the (?:(\d+) frames|frame) before that/.exec(error) ?? [];
  const count = holds === undefined ? (error.includes("holds the frame before") ? 1 : 0) : Number(holds);
  if (code !== DONE && frames !== undefined && count !== frames)
    throw wrong(`the error says that ${count} frames are held, and the output has ${frames}`);
}
