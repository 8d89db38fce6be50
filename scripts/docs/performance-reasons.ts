/** For docs/performance.md: why cases are over their bounds, as far as it was measured, and what was tried. */

export const reasons: Readonly<Record<string, string>> = {
  encode: `Of the CPU time 0.25 s is the start of Bun and of the program (first-ivf). The memory is libvpx's 168 MiB, as in vpxenc, and besides
30 MiB of Bun's code, 20 MiB for four frames and their packets, and 17 MiB of JavaScript's heap (/proc/PID/smaps). What helped: the
model in encode.ts's process (281 MiB before), and libvpx's memory in huge pages, which made opening the stream 46 ms instead of
500 ms and the whole 0.7 of before.`,
  "encode-540": `libvpx has 88 % of the samples (perf), the driver's thread 5 % and Bun's compiler threads 2 %. The frames come from memory, where
vpxenc has each one in the processor's cache, because it has just read it.`,
  "encode-threads": "The memory is as in encode.",
  "encode-180p": `The start is a quarter of the time and vpxenc's is 0.02 s. The rest is as in encode-64.`,
  "encode-64": `Samples (perf): libvpx 36 %, the driver's thread with the model's registers 29 % (135 us a frame), Bun's compiler threads 19 %, the
codec's thread outside libvpx 10 %. With BUN_JSC_useFTLJIT=0 in the environment the same run takes 1.99 s instead of 2.37 s, but
a program can set that only by starting itself again. Tried and dropped: rings in shared memory instead of messages between
threads, fewer interrupts for more completions, spinning before sleeping, reading ahead (a file that is cut while it is read must
fail at that frame).`,
  "encode-null": `C is quickest at depth 1: it sums each frame while the cache still has it. With as many frames in flight as ours, C takes as
long from depth 8 on.`,
  "first-ivf": `Most is loading: 169 files, and Bun's pages one by one. Tried: one file for all (saves a tenth, and a clone has none),
loading what is needed later when it is needed (kept), the codec's thread loading while the verb does (kept), two processes
(431 ms).`,
  "first-webm": "As first-ivf; mediabunny, which writes the container, takes the rest.",
  list: `Bun loads 60 files for this, each 0.3 to 0.5 ms on this machine. Kept: what only some need is loaded by those. Tried: one file for
all, symbols of the C library one by one, another library for usage texts.`,
  info: "As list, and the text of every capability.",
  doctor: "As list.",
  help: "As list; consola and citty are a third of it.",
  access: `A call from JavaScript into the accessor takes as long as C's whole read through a pointer, and the checks of range and alignment take
the rest: 18.6 ns before they compared whole numbers only. Reading a file has a promise for each frame.`,
  messages: `Both sides are JavaScript. System calls are the smaller part: waiting in the kernel instead of looking first saved two of seven, and
0.13 of a write. The model's side without its second compiler makes no measurable difference. Mapping has 9 system calls
beyond C's, for memory that nobody can truncate: sealing it here, and checking that on the other side.`,
  "guest-start": `A kernel alone takes half of it (on the right). The rest is the first program of the guest under emulation: modules, the share, and
what runs commands. It was 8.5 s and 6.2 s.`,
  "guest-maps": `JavaScript in an emulated guest runs uncompiled for most of these 500 calls: after 5,000 it takes a third (3.6 to 1.1 ms on a busy
machine). A look at the memory limit in /proc is gone (199 us).`,
  penalty: `Rounds differ: the aarch64 guest has 1.06 in its best. From its own memory (penalty-memory) it is within.`,
  "penalty-360p": `The codec is quick with these, and the guest's own work for each frame is not: submitting takes 3.2 and 3.5 ms where the host takes
0.26, which is what emulation makes of any JavaScript, and reading from the share 2.7 and 3.7 ms.`,
  "penalty-360p-memory": "As penalty-360p, with 2.0 and 1.4 ms for reading.",
};
