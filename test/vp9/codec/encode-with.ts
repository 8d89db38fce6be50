/**
 * Encodes with one libvpx, in a process that has loaded no other: `bun encode-with.ts LIBRARY FRAMES`, a clip and settings as
 * JSON on standard input. Prints the engine's version and its packets as JSON. (Where two are loaded, one may be found by the
 * other's name.)
 */
import { readFileSync } from "node:fs";
import type { CodecSettings } from "../../../src/vp9/codec/engine.ts";
import { loadLibvpx } from "../../../src/vp9/codec/libvpx.ts";
import { type Clip, encodeClip } from "./reference.ts";
import { summary } from "./releases.ts";

const [library, frames] = process.argv.slice(2) as [string, string];
const { clip, settings } = (await Bun.stdin.json()) as {
  clip: Omit<Clip, "bytes">;
  settings: CodecSettings;
};
const engine = loadLibvpx([library]);
const bytes = new Uint8Array(readFileSync(frames));
const packets = await encodeClip(engine, { ...clip, bytes }, settings);
console.log(JSON.stringify({ version: engine.version, packets: summary(packets) }));
