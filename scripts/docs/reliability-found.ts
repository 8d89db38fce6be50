/** For docs/reliability.md: the bugs that campaigns, and the work on limits, found in vfiokit. */

export interface Found {
  /** The campaign's name, or what else found it. */
  readonly by: string;
  /** The command that found it. */
  readonly command: string;
  readonly wrong: string;
  /** The subject of the commit that fixed it. */
  readonly fix: string;
  /** The test that failed before: a file below test/. */
  readonly test: string;
}

const LIMITS = "bun test test/limits.test.ts";

export const found: readonly Found[] = [
  {
    by: "limits",
    command: "bun test test/device/vfio-user/hostile.test.ts",
    wrong:
      "a vfio-user server that sent requests without a pause kept a request waiting beyond its time limit",
    fix: "A server that sends requests for ever no longer outlasts a request's time limit; tests of the lower floors' limits",
    test: "device/vfio-user/hostile.test.ts",
  },
  {
    by: "limits",
    command: LIMITS,
    wrong:
      "a model whose start hung was waited for without an end, in the process of its user or in one that was left behind",
    fix: "A model that never starts is ended; tests of the models' limits",
    test: "model/limits.test.ts",
  },
  {
    by: "limits",
    command: LIMITS,
    wrong:
      "output that run collects of a guest's command, a line that a guest never ends, and the output of programs that fetch took any amount of memory",
    fix: "Limits of each floor in a file of its own; waits, output and files that had none get one",
    test: "guest/limits.test.ts",
  },
  {
    by: "limits",
    command: LIMITS,
    wrong: "info --file /dev/zero and registers /dev/zero read until memory ran out",
    fix: "Limits of each floor in a file of its own; waits, output and files that had none get one",
    test: "pci/limits.test.ts",
  },
  {
    by: "faults",
    command: "bun run campaign.ts faults --seed 1",
    wrong:
      "a frame that was encoded while a recovery began was submitted before the frames that the recovery encodes again",
    fix: "A frame no longer overtakes those that a recovery encodes again; campaign faults",
    test: "vp9/encoder/recover.test.ts",
  },
  {
    by: "faults",
    command: "bun run campaign.ts faults --seed 14",
    wrong:
      "closing a model in the same process kept its codec's memory and the frames that it read, 3.5 MB each time",
    fix: "A model in this process frees its codec's memory and the frames that it read when it is closed: its threads end by themselves",
    test: "model/in-process-closing.test.ts",
  },
  {
    by: "server",
    command: "bun run campaign.ts server --seed 11",
    wrong: "the example's edu model never ended a copy whose command had bit 31 set",
    fix: "Campaign server: sessions of valid and invalid messages; the edu model takes commands with bit 31",
    test: "model/edu.test.ts",
  },
  {
    by: "client",
    command: "bun run campaign.ts client --seed 1",
    wrong: "a server with a configuration space shorter than its header made openDevice throw RangeError",
    fix: "A server whose configuration space is shorter than its header is refused with DeviceError; campaign client: vfiokit's client against a server that misbehaves",
    test: "device/vfio-user/hostile.test.ts",
  },
  {
    by: "client",
    command: "bun run campaign.ts client --seed 2",
    wrong: "descriptors of a reply with a request's id and another command stayed open",
    fix: "The client closes the descriptors of a reply that has its request's id but another command",
    test: "device/vfio-user/hostile.test.ts",
  },
  {
    by: "kills",
    command: "bun run campaign.ts kills --seed 3",
    wrong: "SIGTERM while the output was being opened left an existing file empty",
    fix: "An output that is being opened when the encoding ends is completed; WebM's library is loaded before a file is emptied",
    test: "vp9/encoder/output-opening.test.ts",
  },
  {
    by: "kills",
    command: "bun run campaign.ts kills --seed 4",
    wrong: "a standby of a killed server, which reads as all ones, kept encode.ts from the next server",
    fix: "A recovery opens a device again that a reset does not bring back, and looks for one that reads as all ones",
    test: "vp9/encoder/recover.test.ts",
  },
  {
    by: "kills",
    command: "bun run campaign.ts kills",
    wrong: "model.ts refused the socket that a killed one had left",
    fix: "Campaign kills: signals to encode.ts, its model, model.ts and guests; a model takes over the socket that a killed one left",
    test: "model/server-process.test.ts",
  },
  {
    by: "kills",
    command: "bun run campaign.ts kills --seed 15",
    wrong: "guest.ts, killed with all its processes, left its folder for good",
    fix: "Folders and sockets that a guest or a model left, killed with its helper, are removed by the next one",
    test: "guest/scratch.test.ts",
  },
];
