/** What this floor bounds. test/limits.test.ts names a test that exceeds each. */

/**
 * Bytes of data in one access of a region or of DMA, as vfiokit's client and server announce them: the protocol's own default.
 * Larger transfers go in pieces; a peer that sends or asks for more is refused with EINVAL.
 */
export const MAX_DATA_BYTES = 1024 * 1024;
/**
 * Bytes of a message after its header: the fixed part of an access and its data. A peer that announces more has broken the
 * protocol: ProtocolError, and nothing is allocated for it.
 */
export const MAX_PAYLOAD_BYTES = 64 + MAX_DATA_BYTES;
/** Milliseconds for a message's payload after its header, which the peer sends together. Then SocketTimeout. */
export const PAYLOAD_MS = 5000;
/**
 * Capabilities in a region's information: the kernel has four kinds. A longer list is one that loops: VfioFormatError.
 */
export const MAX_CAPABILITIES = 16;
