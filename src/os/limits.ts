/** What this floor bounds. test/limits.test.ts names a test that exceeds each. */

/**
 * Descriptors in one message of a socket: vfio-user's peers announce at most 16. More to send is a RangeError; more received is
 * an Error, and closes all of them.
 */
export const MAX_FDS = 16;
/** Bytes of a socket's path: sun_path of unix(7) without its NUL. A longer one is an Error before anything is created. */
export const MAX_SOCKET_PATH_BYTES = 107;
/**
 * The backlog of a listening socket: a server has one client at a time, so more than the next one need not wait. When it is full,
 * connecting is a SystemError, EAGAIN, at once.
 */
export const BACKLOG = 1;
/** Milliseconds that sending may wait for the peer to read: a message takes microseconds. Then SocketTimeout. */
export const SEND_MS = 5000;
