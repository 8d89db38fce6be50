/** Every limit of a floor, and the test that exceeds it. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const root = resolve(import.meta.dir, "..");

/** The file below test/, and the test's name in it; or why no test exceeds the limit. */
type Exceeded = readonly [file: string, name: string] | { readonly reason: string };

const servers = "device/vfio-user/hostile.test.ts";
const imports = "registers/limits.test.ts";
const guests = "guest/limits.test.ts";

const exceeded: Readonly<Record<string, Readonly<Record<string, Exceeded>>>> = {
  "src/os": {
    MAX_FDS: [
      "os/resources.test.ts",
      "a large message crosses whole, and more descriptors than a message can hold are refused",
    ],
    MAX_SOCKET_PATH_BYTES: [
      "os/resources.test.ts",
      "a named socket takes connections, and a name too long for the kernel is refused with its length",
    ],
    BACKLOG: [
      "os/resources.test.ts",
      "connecting where too many wait already says so at once, instead of waiting for ever",
    ],
    SEND_MS: ["os/limits.test.ts", "a peer that does not read is given up"],
  },
  "src/debian": {
    RUN_S: [
      "debian/limits.test.ts",
      "a program that takes too long is ended, and the error says how long it had",
    ],
    LOCK_S: [
      "debian/limits.test.ts",
      "a process that waits too long for another one to fetch the same says which lock it waited for",
    ],
    MAX_OUTPUT_BYTES: ["debian/limits.test.ts", "a program that writes without an end is ended"],
    MAX_ERROR_CHARACTERS: ["debian/limits.test.ts", "of a program's errors the end is kept"],
  },
  "src/registers": {
    MAX_DESCRIPTION_BYTES: [imports, "a description that is too large is refused, also where it has no end"],
    MAX_DEPTH: [imports, "elements that are nested too deeply are refused"],
    MAX_DIGITS: [imports, "a number that is too long or too large is refused"],
    MAX_BITS: [imports, "a number that is too long or too large is refused"],
    MAX_COUNT: [imports, "a number that is too long or too large is refused"],
    MAX_LABELS: [imports, "the elements of an array with too many names are counted"],
    MAX_UNROLLED: [
      imports,
      "an array of too many registers is refused, and so are arrays with too many together",
    ],
    MAX_IN_ARRAYS: [
      imports,
      "an array of too many registers is refused, and so are arrays with too many together",
    ],
    MAX_IN_ARRAY: [imports, "an array of a table that is too long is a mistake"],
  },
  "src/pci": {
    RELEASE_MS: {
      reason: "the kernel must keep a function from its driver for 30 s in a guest: no test waits so long",
    },
    RESCAN_MS: ["guest/inside/bus.inside.ts", "what does not come back is gone, what appears is new"],
    MAX_RECORD_BYTES: [
      "guest/setup.test.ts",
      "in an %s guest a user binds, encodes and releases without root, and may do no more",
    ],
    NODE_MS: [
      "guest/setup.test.ts",
      "in an %s guest a user binds, encodes and releases without root, and may do no more",
    ],
    PROGRAM_MS: ["pci/setup.test.ts", "is ended if it takes too long, and the error says how long it had"],
    MAX_NAMES_BYTES: ["pci/limits.test.ts", "a list of names that is too large counts as missing"],
    MAX_DUMP_BYTES: ["pci/limits.test.ts", "a dump that is too large is refused, also where it has no end"],
  },
  "src/protocol": {
    MAX_DATA_BYTES: [
      "model/limits.test.ts",
      "that asks for more data than a message may have is refused, and served on",
    ],
    MAX_PAYLOAD_BYTES: [
      "protocol/limits.test.ts",
      "a payload that is longer than any may be is not built, and not received",
    ],
    PAYLOAD_MS: ["protocol/limits.test.ts", "a payload that does not follow its header is not waited for"],
    MAX_CAPABILITIES: [
      "protocol/limits.test.ts",
      "a list of more capabilities than a structure can have counts as one that loops",
    ],
  },
  "src/device": {
    MAX_IOVA_RANGES: { reason: "the kernel decides, and no IOMMU here has more than five" },
    KEEP_MS: { reason: "only a process that hangs in the kernel while it ends takes longer" },
    REMOVAL_POLL_MS: [
      "guest/inside/removal.inside.ts",
      "an unbinding elsewhere ends while the program waits for a timer, and its next call says that the device was closed",
    ],
    REPLY_MS: [servers, "gives up a server that sends requests for ever in place of its answer"],
    SERVE_MS: [
      servers,
      "leaves the event loop to others while a server sends requests for ever, and so does a wait",
    ],
    TURN_MS: [
      servers,
      "leaves the event loop to others while a server sends requests for ever, and so does a wait",
    ],
    LISTEN_MS: [
      servers,
      "a server that listens %d ms after its socket is there is waited for, within a limit",
    ],
    MAX_STRUCTURE_BYTES: [
      servers,
      "asks no second time for a region's information that is too long, and can be used on",
    ],
    MAX_CAPABILITIES: ["device/limits.test.ts", "a list of capabilities that loops ends, and has no MSI-X"],
    MAX_DEPENDENTS: { reason: "no machine, and no QEMU, has a bus with so many functions" },
  },
  "src/media": {
    MAX_SIDE: [
      "media/limits.test.ts",
      "a size, a pixel aspect and a frame rate with too large a number are refused",
    ],
    MAX_ASPECT_TERM: [
      "media/limits.test.ts",
      "a size, a pixel aspect and a frame rate with too large a number are refused",
    ],
    MAX_RATE_TERM: [
      "media/limits.test.ts",
      "a size, a pixel aspect and a frame rate with too large a number are refused",
    ],
    Y4M_LINE_LIMIT: [
      "media/y4m.test.ts",
      "a header that never ends is a MediaError, from a file and from a pipe",
    ],
  },
  "src/model": {
    MAX_MAPPINGS: [
      "model/dma.test.ts",
      "mappings, files and their bytes have limits, and what is unmapped counts no more",
    ],
    MAX_FILES: [
      "model/dma.test.ts",
      "mappings, files and their bytes have limits, and what is unmapped counts no more",
    ],
    MAX_FILE_BYTES: [
      "model/dma.test.ts",
      "mappings, files and their bytes have limits, and what is unmapped counts no more",
    ],
    MESSAGE_MS: [
      "model/limits.test.ts",
      "that stops in the middle of a message is dropped, and the next one is served",
    ],
    REPLY_MS: ["model/message-dma.test.ts", "never answers is dropped after 5 s, and the next one is served"],
    MAX_KEPT: ["model/message-dma.test.ts", "goes on asking"],
    MAX_KEPT_BYTES: [
      "model/limits.test.ts",
      "that sends more bytes than are kept while it owes an answer is dropped",
    ],
    MAX_ACCESS_BYTES: [
      "model/limits.test.ts",
      "a transfer to a model in this process that is longer than one access goes in pieces",
    ],
    MAX_READ_BYTES: [
      "model/limits.test.ts",
      "a DMA read whose size a driver chose too large is refused before memory is taken for it",
    ],
    MAX_VIEW_BYTES: ["model/lifetimes.test.ts", "a memory BAR that no array holds says so"],
    START_MS: ["model/limits.test.ts", "a model that does not start is ended, and the error says so"],
    FIRST_ANSWER_MS: ["model/limits.test.ts", "a model that starts and then does not answer is an error"],
    MAX_STARTING_LINES: [
      "model/limits.test.ts",
      "of what a model prints before it fails the last lines are told",
    ],
    MAX_LINE_CHARACTERS: [
      "model/limits.test.ts",
      "a line that is too long comes in pieces, none of which is lost",
    ],
    STOP_MS: [
      "model/server-busy.test.ts",
      "SIGTERM ends the model although a client has stopped in the middle of a message",
    ],
    PROCESS_STOP_MS: [
      "model/limits.test.ts",
      "a model's process that does not end when it is told to is killed",
    ],
    LAST_WORDS_MS: [
      "model/limits.test.ts",
      "the last words of a model's process are waited for, but not those of its standby",
    ],
    STANDBY_MS: ["model/limits.test.ts", "a standby that takes no clients is given up, in one line"],
  },
  "src/guest": {
    SCRATCH_LEFT_MS: [
      "guest/scratch.test.ts",
      "a folder whose process and its helper were killed is removed by the next guest; one in use stays",
    ],
    GUEST_MS: [
      "guest/boot.test.ts",
      "when the time is up, the error says what gives it longer, and nothing of the signal that ended QEMU",
    ],
    KVM_MS: { reason: "needs a machine whose /dev/kvm opens and then runs no guest" },
    QUIT_MS: [guests, "a QEMU that does not end when it is told to is killed"],
    SHARE_STOP_MS: [
      guests,
      "a virtiofsd that does not listen in time, or does not end when it is told to, is killed",
    ],
    SHARE_START_MS: [
      guests,
      "a virtiofsd that does not listen in time, or does not end when it is told to, is killed",
    ],
    QMP_MS: [guests, "a QEMU that does not answer is an error that names the command"],
    PLUG_MS: { reason: "needs a guest whose kernel keeps a device for 30 s: no test waits so long" },
    ANSWER_MS: [guests, "a command that is to end before it began is waited for, but not for ever"],
    LEFT_MS: [
      guests,
      "a guest's line about a command's end is cut, and processes that keep its streams are ended",
    ],
    DRAIN_MS: {
      reason: "needs a guest that loses the end of its terminal's output, which none was seen to do",
    },
    SESSIONS: ["guest/commands.test.ts", "twelve commands at the same time have streams of their own"],
    MAX_OUTPUT_BYTES: [
      guests,
      "a command's output that run collects has an end, which is an error that says what takes more",
    ],
    MAX_LINE_CHARACTERS: [
      guests,
      "a line that a guest never ends takes no memory, and the next one is taken",
    ],
    MAX_ENDING_CHARACTERS: [
      guests,
      "a guest's line about a command's end is cut, and processes that keep its streams are ended",
    ],
    MAX_KEPT_CHARACTERS: [guests, "of a console the end is kept, and of that the last lines are shown"],
    MAX_SHOWN_LINES: [guests, "of a console the end is kept, and of that the last lines are shown"],
    MAX_KERNEL_BYTES: [
      "guest/parts.test.ts",
      "a kernel's image is unpacked only where QEMU can start what is in it, and it is no larger than a kernel",
    ],
  },
  "src/vp9/encoder": {
    FRAME_MS: [
      "vp9/encoder/limits.test.ts",
      "a device that completes nothing fails the encoder, if it is given no time limit, too",
    ],
    RECOVERIES: ["vp9/encoder/recover.test.ts", "a fourth failure ends an encoder that was given no number"],
    RECOVER_MS: ["vp9/encoder/recover.test.ts", "a device that does not come back in time is reported, once"],
    MAX_IN_FLIGHT: ["vp9/encoder/limits.test.ts", "more frames under way than a ring holds are refused"],
    MAX_CHUNKS: ["vp9/encoder/stream.test.ts", "holds frames back while their consumer is slower"],
  },
  "src/vp9/codec": {
    REACH_MS: [
      "vp9/codec/limits.test.ts",
      "an archive that does not answer, or that takes too long to fetch, is an error that says which",
    ],
    FETCH_MS: [
      "vp9/codec/limits.test.ts",
      "an archive that does not answer, or that takes too long to fetch, is an error that says which",
    ],
    MAX_THREADS: [
      "vp9/codec/pool.test.ts",
      "there are four threads at most; a stream that finds all at work starts when the first is done, unless it has ended",
    ],
  },
  "src/vp9/model": {
    TURN_PIECES: [
      "model/server-flood.test.ts",
      "while 1,024 frames of 8,192 pieces are taken registers are read, memory has a bound, and RESET ends it",
    ],
    HELD_PIECES: [
      "model/server-flood.test.ts",
      "while 1,024 frames of 8,192 pieces are taken registers are read, memory has a bound, and RESET ends it",
    ],
  },
};

const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith("limits.ts") && name.split("/").at(-1) === "limits.ts")
  .map((name) => join("src", name));

test("every limit of a floor is exceeded by a test, and every such test is there", async () => {
  const found: Record<string, string[]> = {};
  for (const file of files) found[dirname(file)] = Object.keys(await import(join(root, file))).sort();
  const listed = Object.entries(exceeded).map(([floor, limits]) => [floor, Object.keys(limits).sort()]);
  expect(Object.fromEntries(listed)).toEqual(found);

  const missing = Object.values(exceeded)
    .flatMap((limits) => Object.values(limits))
    .filter((test): test is readonly [string, string] => !("reason" in test))
    .filter(([file, name]) => {
      const text = readFileSync(join(root, "test", file), "utf8");
      return ![`"${name}"`, `("${name}`].some((words) => text.includes(words));
    });
  expect(missing).toEqual([]);
});

test("every limit says what it bounds, and what happens then", () => {
  const bare = files.flatMap((file) => {
    const text = readFileSync(join(root, file), "utf8");
    return [...text.matchAll(/(\*\/\n)?export const (\w+)/g)]
      .filter(([, comment]) => !comment)
      .map(([, , name]) => `${file}: ${name}`);
  });
  expect(bare).toEqual([]);
});
