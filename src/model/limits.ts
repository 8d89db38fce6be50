/** What this floor bounds. test/limits.test.ts names a test that exceeds each. */
import { MAX_DATA_BYTES } from "../protocol/limits.ts";

/** Mappings of one client: as many as QEMU asks for. The next is refused with ENOSPC. */
export const MAX_MAPPINGS = 65_535;
/** Files behind these mappings: this process needs descriptors' and mappings' worth of room for itself. The next is refused with ENOSPC. */
export const MAX_FILES = 1024;
/** Bytes of these files together: an eighth of a process's addresses. What goes beyond is refused with ENOSPC. */
export const MAX_FILE_BYTES = 2 ** 44;
/** Milliseconds for a client to send a message that it has begun. Then it is dropped, and the next one is served. */
export const MESSAGE_MS = 5000;
/** Milliseconds for a client to answer a request for its memory. Then it is dropped. */
export const REPLY_MS = 5000;
/** Requests of a client that are kept while it has not answered one for its memory. A client that sends more is dropped. */
export const MAX_KEPT = 4096;
/** Bytes of these requests. A client that sends more is dropped. */
export const MAX_KEPT_BYTES = 16 * MAX_DATA_BYTES;
/** Bytes that one access moves where a model runs in this process. Larger transfers go in pieces. */
export const MAX_ACCESS_BYTES = 65_536;
/** Bytes that a model reads of the host's memory at once: a driver may choose the number. More: RangeError, before any is taken. */
export const MAX_READ_BYTES = 2 ** 28;
/** Bytes of a BAR's memory that a model can have as one array: Bun's arrays have no more. Larger: RangeError; holdBar gives parts. */
export const MAX_VIEW_BYTES = 2 ** 32;
/**
 * Milliseconds for a model to start: the first one on a machine may fetch what it works with, which may take a minute. Then its
 * process is ended, and an Error says so.
 */
export const START_MS = 120_000;
/** Milliseconds for the first answer of a model that has started, if the time limit of requests is shorter. Then DeviceError. */
export const FIRST_ANSWER_MS = 5000;
/** Lines kept of what a model's process prints before it is up; they become the Error if it fails. Earlier ones are dropped. */
export const MAX_STARTING_LINES = 1000;
/** Characters of a line of a model's output. A longer one is passed on in pieces. */
export const MAX_LINE_CHARACTERS = 65_536;
/** Milliseconds for a model to end: longer than it takes to leave a client that stopped within a message. Then it ends without that. */
export const STOP_MS = 1500;
/** Milliseconds for a model's process to end. Then it is killed. */
export const PROCESS_STOP_MS = 5000;
/** Milliseconds for the last output of a process that has ended: its standby may keep it open. Then it is not waited for. */
export const LAST_WORDS_MS = 1000;
/** Milliseconds for a standby to take a client's connection, which takes it microseconds. Then the model goes on without a standby. */
export const STANDBY_MS = 500;
