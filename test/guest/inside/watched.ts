/**
 * Files that are written piece by piece while other processes look at them.
 * `bun watched.ts write FOLDER FILES` writes them, one after the other; `bun watched.ts watch FOLDER` looks until it is done.
 * Both say how many bytes were wrong. Of the files the last one stays.
 */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** A header and a packet each, as in a video file; their ends fall on no page's. */
const lengths = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 12 : 3000 + ((i * 7919) % 4000)));
/** What every file holds: no two pages are the same. */
const content = Buffer.from(
  Uint8Array.from(
    { length: lengths.reduce((sum, length) => sum + length) },
    (_, i) => Math.imul(i + 1, 2_654_435_761) >>> 24,
  ),
);

/** Bytes that differ from the content's beginning, and those that are missing. */
function wrongBytes(path: string, leastLength: number): number {
  const got = readFileSync(path);
  const expected = content.subarray(0, got.length);
  const wrong = got.equals(expected)
    ? 0
    : got.reduce((sum, byte, i) => sum + Number(byte !== expected[i]), 0);
  return wrong + Math.max(0, leastLength - got.length);
}

async function write(path: string): Promise<void> {
  const descriptor = openSync(path, "w");
  let position = 0;
  for (const length of lengths) {
    writeSync(descriptor, content, position, length, position);
    position += length;
    if (length > 12) await Bun.sleep(3);
  }
  writeSync(descriptor, content, 0, 4, 0); // as a header is that has the number of frames
  closeSync(descriptor);
}

const [mode, folder, count] = process.argv.slice(2) as [string, string, string];
const end = join(folder, "end");
let wrong = 0;
if (mode === "write") {
  for (let file = 1; file <= Number(count); file++) {
    const path = join(folder, `file-${file}`);
    await write(path);
    wrong += wrongBytes(path, content.length);
    if (file < Number(count)) rmSync(path);
  }
  writeFileSync(end, "");
  console.log(`wrote ${count}, ${wrong} bytes wrong`);
} else {
  let looks = 0;
  while (!existsSync(end)) {
    for (const name of readdirSync(folder).filter((name) => name.startsWith("file-"))) {
      const path = join(folder, name);
      const stats = statSync(path, { throwIfNoEntry: false });
      if (stats === undefined) continue;
      if (++looks % 10 > 0) continue;
      try {
        wrong += wrongBytes(path, stats.size);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error; // removed in between
      }
    }
    await Bun.sleep(5);
  }
  console.log(`watched ${looks < 10 ? "hardly" : "well"}, ${wrong} bytes wrong`);
}
