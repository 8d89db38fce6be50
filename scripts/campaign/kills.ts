/**
 * The campaign `kills`: signals to encode.ts, its model, model.ts, guest.ts and QEMU at any moment. What they leave must be
 * nothing, or be cleared by the next run. Drivers that are bound and bus mastering are state of a machine with a card:
 * test/guest/inside and test/guest/killing.test.ts look at these in guests.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Campaign, campaign, type Rig } from "./campaign.ts";
import { type KillCase, killCases } from "./kills/case.ts";
import { makeClip } from "./kills/clip.ts";
import { runEncode } from "./kills/encode.ts";
import { runGuest } from "./kills/guest.ts";
import { exitOf, ownFigures, type ProgramOptions, startProgram, until } from "./program.ts";

/** For huge pages to come back, and folders to be removed, by processes that end last. */
const CLEARED_MS = 10_000;
const BOOT_MS = 60_000;

/** @param guests how many of 100 runs boot a guest */
export function killsCampaign(guests: number): Campaign {
  return campaign({
    name: "kills",
    about: "signals to encode.ts, its model, model.ts, guest.ts and QEMU at any moment; nothing may be left",
    runs: 500,
    limitMs: 150_000,
    cases: killCases(guests),
    open,
  });
}

async function open(): Promise<Rig<KillCase>> {
  const home = mkdtempSync(join(tmpdir(), "vfiokit-kills-"));
  const remove = () => rmSync(home, { recursive: true, force: true });
  try {
    const clip = await makeClip({ folder: home, temporary: home });
    let runs = 0;
    return {
      async run(one) {
        const folder = join(home, String(++runs));
        const temporary = join(folder, "temporary");
        mkdirSync(temporary, { recursive: true });
        const pages = freeHugePages();
        try {
          const options = { folder, temporary };
          const counts =
            one.scene === "guest" ? await runGuest(one, options) : await runEncode(one, clip, options);
          const isClear = () => readdirSync(temporary).length === 0;
          for (const end = Date.now() + CLEARED_MS; !isClear() && Date.now() < end; ) await Bun.sleep(2);
          const isLeft = !isClear();
          if (isLeft) await bootNext(options);
          if (!isClear()) throw new Error(`temporary files are left: ${readdirSync(temporary).join(" ")}`);
          await until(
            () => freeHugePages() >= pages,
            CLEARED_MS,
            () => `huge pages are left in use: ${freeHugePages()} of ${pages} are free`,
          );
          return { ...counts, ...(isLeft && { "left, and removed by the next guest: temporary files": 1 }) };
        } finally {
          rmSync(folder, { recursive: true, force: true });
        }
      },
      figures: ownFigures,
      async [Symbol.asyncDispose]() {
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

/** The next guest, which removes what one that was killed with its helpers left. */
async function bootNext(options: ProgramOptions): Promise<void> {
  await using guest = startProgram("guest.ts", ["--device", "model:vp9", "--", "true"], options);
  const { code } = await exitOf(guest, "the next guest.ts", BOOT_MS);
  if (code !== 0) throw new Error(`the next guest.ts ended with ${code}: ${guest.said}`);
}

function freeHugePages(): number {
  return Number(/^HugePages_Free:\s+(\d+)/m.exec(readFileSync("/proc/meminfo", "latin1"))?.[1] ?? 0);
}
