/** What this floor bounds. test/limits.test.ts names a test that exceeds each. */

/** Milliseconds for a guest's boot and its command, if the caller gives none: an emulated one boots in 6 s. Then GuestError, "timed-out". */
export const GUEST_MS = 600_000;
/** Milliseconds for the guest that tries whether KVM works, which takes 2 s where it does. Then guests are emulated. */
export const KVM_MS = 15_000;
/** Milliseconds for QEMU to exit when it is told to. Then it is killed. */
export const QUIT_MS = 2000;
/** The same for virtiofsd. */
export const SHARE_STOP_MS = 2000;
/** Milliseconds for virtiofsd to listen, which takes it 50 ms. Then it is killed: Error with what it said. */
export const SHARE_START_MS = 30_000;
/** Milliseconds for QEMU's answer to a command of its machine protocol: it answers at once, but a busy machine may not let it. Then QmpError. */
export const QMP_MS = 30_000;
/** Milliseconds for the guest to find a device, and to give one up. Then GuestError, "timed-out". */
export const PLUG_MS = 30_000;
/** Milliseconds for the guest to start a command that is to be ended, and to end it. Then the command is left to the guest. */
export const ANSWER_MS = 10_000;
/** Milliseconds that processes may keep a session's streams open after the command that left them. Then the guest ends them. */
export const LEFT_MS = 1000;
/** Milliseconds for a shell's last output after its end. Then it is not waited for. */
export const DRAIN_MS = 5000;
/** Commands that run at the same time: each takes three of the guest's 31 ports. Others wait for their turn. */
export const SESSIONS = 8;
/** Bytes of one output stream that run() collects. Then the command is ended, and GuestError says what takes more. */
export const MAX_OUTPUT_BYTES = 64 * 2 ** 20;
/** Characters of a line from the guest or QEMU's machine protocol: theirs have some hundreds. A longer one is dropped. */
export const MAX_LINE_CHARACTERS = 2 ** 20;
/** Characters that a guest's line about a command may have: an exit code has 3. A longer one is cut, and ends the guest with GuestError. */
export const MAX_ENDING_CHARACTERS = 20;
/** Characters kept of the console and of QEMU's and virtiofsd's messages, from the end. Earlier ones are dropped. */
export const MAX_KEPT_CHARACTERS = 65_536;
/** Lines of them that an error shows, from the end. */
export const MAX_SHOWN_LINES = 50;
/** Bytes of a kernel's unpacked image: Debian's have 70 MB. A larger one is left for QEMU to start as it is. */
export const MAX_KERNEL_BYTES = 512 * 2 ** 20;
/** Milliseconds for a guest's temporary folder to be locked by the process that made it. Then, without a lock, it is a leftover. */
export const SCRATCH_LEFT_MS = 10_000;
