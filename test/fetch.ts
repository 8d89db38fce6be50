/** Fetches into the cache folder, and compiles, what the tests would, so that none of them waits for it: for test/setup.sh. */

import { DEFAULT_KERNEL, fetchBun, fetchKernel, fetchPrograms, fetchQemu } from "../src/guest/assets.ts";
import { fetchLibvpx } from "../src/vp9/codec/debian.ts";
import { fetchMusl } from "./guest/musl.ts";
import { fetchUdev } from "./guest/udev.ts";
import { testKernels } from "./kernel/kernels.ts";
import { fetchOldBun } from "./old-bun.ts";
import { fetchRelease } from "./vp9/codec/releases.ts";

await fetchQemu(console.log);
for (const arch of ["x86_64", "aarch64"] as const) {
  await fetchPrograms(arch, console.log);
  await fetchKernel(arch, DEFAULT_KERNEL, console.log);
  for (const libc of ["glibc", "musl"] as const) await fetchBun(arch, console.log, libc);
  await fetchMusl(arch);
  await fetchUdev(arch);
}
for (const arch of ["amd64", "arm64"] as const) await fetchLibvpx(arch, console.log);
for (const suite of ["bookworm", "trixie"] as const) await fetchRelease(suite);
await fetchOldBun();
await testKernels(console.log);
