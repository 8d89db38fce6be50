/** Chooses whether a guest runs on this machine's processor (KVM) or is emulated (TCG). */
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, makeCacheFolder } from "../debian/cache.ts";
import { type Arch, hostArch } from "./arch.ts";
import { GuestError } from "./failure.ts";

export interface Accelerator {
  name: "kvm" | "tcg";
  /** Why this one, for people. */
  why: string;
}

const DEVICE = "/dev/kvm";

/**
 * Chooses KVM if a guest really boots with it, which is tried once per boot of this machine.
 * @param kernel the release of the guest's kernel
 * @param tryKvm boots a guest with KVM; throws GuestError if that fails
 */
export async function chooseAccelerator(
  arch: Arch,
  kernel: string,
  tryKvm: () => Promise<unknown>,
): Promise<Accelerator> {
  if (arch !== hostArch) return { name: "tcg", why: `this machine is ${hostArch}` };
  if (!existsSync(DEVICE)) return { name: "tcg", why: `there is no ${DEVICE}` };
  try {
    accessSync(DEVICE, constants.R_OK | constants.W_OK);
  } catch {
    return {
      name: "tcg",
      why: `this user may not open ${DEVICE}; members of the group kvm may (adduser USER kvm)`,
    };
  }
  const path = join(cacheFolder(), `kvm-${kernel}`);
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const known = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
  if (known[0] === bootId) return verdict(known[1] ?? "");
  let failure = "";
  try {
    await tryKvm();
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    failure = error.reason;
  }
  makeCacheFolder();
  writeFileSync(path, `${bootId}\n${failure}\n`);
  return verdict(failure);
}

const verdict = (failure: string): Accelerator =>
  failure === "" ? { name: "kvm", why: "it works here" } : { name: "tcg", why: `with KVM it ${failure}` };
