/** What this floor bounds. test/limits.test.ts names a test that exceeds each. */

/**
 * Milliseconds for a server's answer to one request, if openDevice is given no time limit: answers take microseconds, and a busy
 * machine may stop a process for seconds. Then DeviceError, and the connection is not used again.
 */
export const REPLY_MS = 5000;
/**
 * Milliseconds that a server which sends request after request may keep this process busy with answers at a time. Then the
 * process goes on with its own work, and answers the rest later.
 */
export const SERVE_MS = 1000;
/** The same in one turn of the event loop, which has other work. */
export const TURN_MS = 10;
/**
 * Milliseconds in which a server has to listen on a socket that is there: bind(2) and listen(2) follow each other at once. Then
 * DeviceError.
 */
export const LISTEN_MS = 100;
/**
 * Bytes of a structure that says itself how long it is (argsz), from the kernel or a server: capabilities have a few hundred. What
 * says that it needs more is not asked for again, and what did not fit is missing.
 */
export const MAX_STRUCTURE_BYTES = 64 * 1024;
/**
 * Capabilities looked through for MSI-X: 48 of 4 bytes fill the 192 after the header, so a longer list loops. Then the function
 * counts as one without MSI-X.
 */
export const MAX_CAPABILITIES = 48;
/**
 * Functions that a reset of a bus affects: a bus has 256, and this one may have others behind it. With more the kernel refuses
 * (ENOSPC), which is a SystemError.
 */
export const MAX_DEPENDENTS = 1024;
/** Ranges of addresses that an IOMMU maps, read from iommufd: an x86 machine has about five. More is a SystemError (EMSGSIZE). */
export const MAX_IOVA_RANGES = 256;
/**
 * Milliseconds that the memory of a process which had physical addresses is kept after it was killed: until its files are closed,
 * which takes it milliseconds. Then the pages go back to the kernel.
 */
export const KEEP_MS = 10_000;
/**
 * Milliseconds between two looks whether the kernel asks for a device back; each takes about a microsecond. Its removal, or its
 * unbinding, waits as long at most, or until the event loop turns again.
 */
export const REMOVAL_POLL_MS = 100;
