/** Commands that do little: how long until they have done it. */
import { join } from "node:path";
import { bunProgram } from "../../src/os/bun-program.ts";
import type { BenchCase, Figures } from "./case.ts";
import { testPicture } from "./clip.ts";
import { vpxencCommand } from "./encode.ts";
import { wholeCommand } from "./measure.ts";

/** doctor's 1 says that it found something. */
const milliseconds = async (command: readonly string[]): Promise<Figures> => ({
  time: (await wholeCommand(command, [0, 1])).time! * 1000,
});

const first = (container: "ivf" | "webm", atMost: number): BenchCase => ({
  name: `first-${container}`,
  about: `command to one frame in ${container === "ivf" ? "an IVF" : "a WebM"}, 640x360`,
  theirs: "vpxenc --limit=1",
  metrics: [
    { name: "time", unit: "ms", bounds: "value", atMost, limit: "the start of Bun, and of the codec" },
  ],
  async prepare(folder) {
    const vpxenc = vpxencCommand(500);
    const input = await testPicture(folder, "640x360", 2);
    const [ours, theirs] = [join(folder, `ours.${container}`), join(folder, "theirs")];
    return {
      ours: (root) =>
        milliseconds([
          ...bunProgram(join(root, "scripts/encode.ts")),
          ...[input, "-o", ours, "--frames=1", "--rc=cbr", "--bitrate=500", "--quiet"],
        ]),
      theirs: () =>
        milliseconds([...vpxenc, `--${container}`, "--threads=1", "--limit=1", "-o", theirs, input]),
    };
  },
});

const verb = (name: string, words: readonly string[]): BenchCase => ({
  name,
  about: words.join(" "),
  theirs: "bun -e 0",
  metrics: [{ name: "time", unit: "ms", bounds: "difference", atMost: 15, limit: "Bun's own start" }],
  async prepare() {
    const [script = "", ...more] = words;
    return {
      ours: (root) => milliseconds([...bunProgram(join(root, "scripts", script)), ...more]),
      theirs: () => milliseconds([process.execPath, "-e", "0"]),
    };
  },
});

export const startCases: readonly BenchCase[] = [
  first("ivf", 45),
  first("webm", 60),
  verb("list", ["list.ts"]),
  verb("info", ["info.ts"]),
  verb("doctor", ["doctor.ts"]),
  verb("help", ["encode.ts", "--help"]),
];
