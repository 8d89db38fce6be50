import { check } from "../../src/os/errno.ts";
import { Fd } from "../../src/os/fd.ts";
import { libc } from "../../src/os/libc.ts";

const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;

/** Memory as others may share it: without a seal of its size, or with those given (F_SEAL_*), in pages as `flags` say. */
export function looseMemfd(name: string, sizeBytes: number, seals = 0, flags = 0): Fd {
  const fd = new Fd(check(libc.memfd_create(name, MFD_ALLOW_SEALING | flags), "create a memfd"));
  check(libc.ftruncate(fd.number, sizeBytes), "size a memfd");
  if (seals) check(libc.fcntl(fd.number, F_ADD_SEALS, seals), "seal a memfd");
  return fd;
}

/** Takes a file's pages away; what is mapped of it kills whoever touches it. */
export function truncate(fd: Fd): void {
  check(libc.ftruncate(fd.number, 0), "truncate");
}
