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
];
