/** Records sessions.json afresh: `bun test/browser/record.ts`. */
import { join } from "node:path";
import { inChromium } from "./chromium.ts";
import type { Recording } from "./session.ts";

const recording = await inChromium<Recording>("sessions.ts");
await Bun.write(join(import.meta.dir, "sessions.json"), `${JSON.stringify(recording, null, 1)}\n`);
