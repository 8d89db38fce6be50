/** Fetches into the cache folder what the tests would fetch, so that none of them waits for it: for test/setup.sh. */

import { DEFAULT_KERNEL, fetchBun, fetchKernel, fetchPrograms, fetchQemu } from "../src/guest/assets.ts";
import { chooseCodec } from "../src/vp9/codec/codec.ts";
import { fetchMusl } from "./guest/musl.ts";

await fetchQemu(console.log);
for (const arch of ["x86_64", "aarch64"] as const) {
  await fetchPrograms(arch, console.log);
  await fetchKernel(arch, DEFAULT_KERNEL, console.log);
  for (const libc of ["glibc", "musl"] as const) await fetchBun(arch, console.log, libc);
  await fetchMusl(arch);
}
await chooseCodec("debian", console.log);
