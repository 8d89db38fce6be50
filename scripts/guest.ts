/** Boots a guest with chosen PCI devices and runs a command in it. */
import { type ArgsDef, defineCommand } from "citty";
import { type Arch, arches, hostArch } from "../src/guest/arch.ts";
import { deviceNames } from "../src/guest/devices.ts";
import { GuestError } from "../src/guest/failure.ts";
import { type GuestOptions, OptionError } from "../src/guest/options.ts";
import { UnknownDevice } from "../src/guest/qemu.ts";
import { runGuest } from "../src/guest/run-guest.ts";
import "../src/schemes.ts";
import { splitCommandLine } from "./cli/command-line.ts";
import { interrupted } from "./cli/interrupt.ts";
import { timeoutMs, wholeNumber } from "./cli/number.ts";
import { terminalColumns } from "./cli/progress.ts";
import { wordError, wordRemedies } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";
import { bootProgress } from "./guest/boot-progress.ts";
import { asksForHelp, deviceHelp } from "./guest/device-help.ts";
import { hasInput } from "./guest/standard-input.ts";
import { openTerminal } from "./guest/terminal.ts";

/** The guest failed, not its command. Lower exit codes are the command's own. */
const GUEST_FAILED = 125;
const INTERRUPTED = 130;
/** The reader of the command's output closed it: the exit code of SIGPIPE. */
const OUTPUT_CLOSED = 141;
/** The shell's exit code for an unknown command. */
const NOT_FOUND = 127;

const args = {
  arch: {
    type: "enum",
    options: Object.keys(arches),
    description: `The guest's architecture (default: this machine's${hostArch ? `, ${hostArch}` : ""})`,
  },
  device: {
    type: "string",
    valueHint: "SPEC",
    description: `A PCI device; may be repeated: ${deviceNames.join(", ")}, model:vp9, vfio-user:/path.sock, or any QEMU -device option; help lists all`,
  },
  in: {
    type: "string",
    valueHint: "FILE|FOLDER",
    description:
      "A file, a folder, or a pipe such as /dev/stdin, to copy into the command's working directory; may be repeated",
  },
  out: {
    type: "string",
    valueHint: "FILE",
    description: "A file to copy from the command's working directory, by its base name; may be repeated",
  },
  kernel: {
    type: "string",
    valueHint: "VERSION|DEB",
    description: "Debian's kernel of this version (default: 6.12), or a linux-image-*.deb",
  },
  memory: { type: "string", default: "1024", valueHint: "MIB", description: "Memory in MiB" },
  cpus: {
    type: "string",
    valueHint: "N",
    description: "Processors (default: 2, or 1 if this machine has one)",
  },
  hugepages: { type: "string", default: "0", valueHint: "N", description: "Pages of 2 MiB to set aside" },
  iommu: {
    type: "enum",
    options: ["on", "off"],
    default: "on",
    description: "Intel's on x86_64; on aarch64 SMMUv3, or virtio-iommu if a device is a model or vfio-user",
  },
  reboot: {
    type: "boolean",
    default: false,
    description: "Let the command reboot the guest (reboot -f); it then runs again from its start",
  },
  timeout: {
    type: "string",
    default: "600",
    valueHint: "S",
    description: "Seconds for boot and command together before the guest counts as hung",
  },
  json: {
    type: "boolean",
    default: false,
    description: "Print one JSON object instead of the command's output",
  },
  verbose: { type: "boolean", default: false, description: "Show the guest's console on standard error" },
} satisfies ArgsDef;

/** Names here of the options that a guest may refuse. */
const optionNames: Partial<Record<keyof GuestOptions, string>> = {
  devices: "--device",
  hugepages: "--hugepages",
  inputs: "--in",
  kernel: "--kernel",
  outputs: "--out",
};

const line = splitCommandLine(process.argv.slice(2), args);
process.argv.splice(2, Number.POSITIVE_INFINITY, ...line.options);

const command = defineCommand({
  meta: {
    name: "guest.ts",
    description: `Boot a guest with PCI devices of your choice, and run a command there. The guest sees this checkout,
or, if vfiokit is installed as a package, your project as /project.

Examples:
  bun run guest.ts --device edu -- bun run list.ts
  bun run guest.ts --arch aarch64 --device nvme --device igb -- lspci -vv
  bun run guest.ts --in clip.y4m --out clip.webm -- \\
    bun run encode.ts clip.y4m -o clip.webm
  bun run guest.ts --arch aarch64 --device model:vp9 \\
    --in clip.y4m --out clip.webm -- \\
    sh -c 'bun run bind.ts 00:01.0 && bun run encode.ts clip.y4m -o clip.webm'

COMMAND is one command. To run several, use sh -c 'a && b' as above, or --in steps.sh -- sh steps.sh. It gets
standard input, unless that is a terminal. Without a COMMAND, on a terminal, it is a shell; Ctrl-] ends the guest.
Only the files that --out names survive the guest. --device model:vp9 is the encoder's model;
vfio-user:/path.sock is the device of any vfio-user server.

The first device is 0000:00:01.0, the next one 0000:00:02.0. Needs no root. The first run downloads QEMU and
Debian's kernel (docs/guest.md).
--json: exitCode, stdout (text), arch, accelerator (kvm, tcg), kernel, bootMs, commandMs; or error.
Exit codes: those of the command, and 125 the guest failed, 1 a file of --out was not written although the command
succeeded, 2 usage (before anything boots), 130 interrupted, 141 the reader of the output closed the pipe.`,
  },
  args,
  async run({ args }) {
    let exitCode: number;
    let output = "";
    const progress = bootProgress(!args.verbose);
    const log = (text: string) => {
      progress.end();
      void say("info", text);
    };
    try {
      const arch = (args.arch as Arch | undefined) ?? hostArch;
      if (arch === undefined) throw new UsageError("--arch is missing");
      const question = line.all("device").find(asksForHelp);
      if (question !== undefined) {
        await write(process.stdout, Buffer.from(await deviceHelp(arch, question, log)));
        process.exit(0);
      }
      const terminal = line.command.length === 0 && !args.json ? openTerminal() : undefined;
      if (line.command.length === 0 && terminal === undefined)
        throw new UsageError(
          "the command is missing; on a terminal it may be, for a shell. --help has examples",
        );
      const decoder = new TextDecoder();
      const result = await runGuest({
        arch,
        command: line.command,
        ...(terminal ? { terminal } : {}),
        ...(terminal || !hasInput(line.all("in")) ? {} : { stdin: Bun.stdin.stream() }),
        devices: line.all("device"),
        inputs: line.all("in"),
        outputs: line.all("out"),
        kernel: args.kernel,
        memoryMib: wholeNumber("--memory", args.memory, 256, 2 ** 20),
        ...(args.cpus === undefined ? {} : { cpus: wholeNumber("--cpus", args.cpus, 1, 64) }),
        hugepages: wholeNumber("--hugepages", args.hugepages, 0, 2 ** 19),
        iommu: args.iommu === "on",
        reboots: args.reboot,
        timeoutMs: timeoutMs(args.timeout),
        signal: interrupted,
        terminalColumns: args.json ? 0 : terminalColumns(),
        onStdout: args.json
          ? (bytes) => {
              output += decoder.decode(bytes, { stream: true });
            }
          : (bytes) => write(process.stdout, bytes),
        onStderr: (bytes) => write(process.stderr, bytes),
        ...(args.verbose ? { onConsole: (text) => void process.stderr.write(text) } : {}),
        onBoot: progress.begin,
        onCommand() {
          progress.end();
          terminal?.begin();
        },
        log,
      });
      const { unwritten, ...rest } = result;
      exitCode = result.exitCode;
      for (const { path, reason } of unwritten) await say("error", `${path}: ${reason}`);
      if (unwritten.length > 0 && exitCode === 0) exitCode = 1;
      if (exitCode === NOT_FOUND && line.command.length === 1 && /[\s;&|<>]/.test(line.command[0]!))
        await say("error", "the command is one word; use sh -c '...'");
      if (args.json) console.log(JSON.stringify({ ...rest, stdout: output }));
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === "EPIPE") process.exit(OUTPUT_CLOSED);
      progress.end();
      const error = explain(thrown);
      const isUsage = thrown instanceof UsageError || thrown instanceof OptionError;
      exitCode = isUsage ? 2 : interrupted.aborted ? INTERRUPTED : GUEST_FAILED;
      if (args.json) console.log(JSON.stringify({ error, stdout: output }));
      else await say("error", error);
    }
    process.exit(exitCode);
  },
});

/** Explains an error in terms of this command line. */
function explain(thrown: unknown): string {
  const message = wordError(thrown);
  if (thrown instanceof OptionError) {
    const { option, remedies } = thrown;
    const mistake = wordRemedies(`${optionNames[option] ?? option} ${thrown.mistake}`, remedies);
    return /^--in \/dev\/fd\/\d+: .*ENOENT/.test(mistake)
      ? `${mistake}; bun run passes on only standard input: use /dev/stdin, or start scripts/guest.ts without run`
      : mistake;
  }
  if (thrown instanceof GuestError && thrown.kind === "rebooted")
    return `${message}\nthe command rebooted the guest; --reboot allows that`;
  if (thrown instanceof GuestError && thrown.kind === "timed-out")
    return `${message}\n--timeout S gives it more time, --verbose shows the console`;
  const unknown = thrown instanceof GuestError && thrown.kind === "unknown-device";
  if (unknown || thrown instanceof UnknownDevice)
    return `${message}\n--device accepts ${deviceNames.join(", ")}, model:vp9 and vfio-user:/path.sock; --device help lists QEMU's own`;
  return message;
}

for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {}); // write() tells

/** Resolves when the bytes are written, so that the guest does not outrun the reader of this process. */
function write(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

await runVerb(command, { rest: "-- COMMAND..." });
