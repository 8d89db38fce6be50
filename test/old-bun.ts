import { chmodSync } from "node:fs";
import { join } from "node:path";
import { cached } from "../src/debian/cache.ts";
import { run } from "../src/debian/process.ts";
import { arches, hostArch } from "../src/guest/arch.ts";

export const OLD_BUN = "1.3.14";
/** Fetches a Bun that is too old into the cache folder on first use (40 MB). */
export const fetchOldBun = () =>
  cached(`bun-${hostArch}-${OLD_BUN}`, async (folder) => {
    const name = `@oven/${arches[hostArch!].bunPackage}@${OLD_BUN}`;
    const archive = new TextDecoder().decode(await run(["npm", "pack", "--silent", name], { cwd: folder }));
    await run(["tar", "-xzf", join(folder, archive.trim()), "-C", folder, "package/bin/bun"]);
    chmodSync(join(folder, "package/bin/bun"), 0o755);
    return join(folder, "package/bin/bun");
  });
