/** Waits for a device's interrupts, counts them, and measures how long they take. */
import { defineCommand } from "citty";
import type { InterruptKind } from "../src/device/device.ts";
import { checkPresent } from "../src/device/silence.ts";
import { ExitCode } from "./cli/exit-code.ts";
import { interrupted } from "./cli/interrupt.ts";
import { timeoutMs, wholeNumber } from "./cli/number.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";
import { deviceArgs, endWith, OPENING, printJson, required } from "./cli/verb.ts";
import {
  arm,
  between,
  countInterrupts,
  type Figures,
  figuresOf,
  kinds,
  measureLatency,
  openWrites,
  parseWrites,
  type Seen,
} from "./device/interrupts.ts";
import { openDeviceOf } from "./device/open.ts";

const MOST_INTERRUPTS = 1_000_000;
/** MSI-X's maximum, PCIe 6.0, section 7.7.2. */
const MOST_VECTORS = 2048;
const LATENCY_ROUNDS = "100";

function showFigures({ median, p99, least, most }: Figures, unit: string): string {
  const shown = { median, p99, least, most };
  return Object.entries(shown)
    .map(([name, value]) => `${name} ${value.toFixed(unit === "us" ? 1 : 3)}`)
    .join(", ")
    .concat(` ${unit}`);
}

function showCounts(kind: InterruptKind, seen: readonly Seen[]): string {
  const most = Math.max(...seen.map(({ count }) => String(count).length));
  const lines = seen.map(({ vector, count, timesMs }) => {
    const gaps = figuresOf(between(timesMs));
    return `${kind} ${String(vector).padEnd(2)} ${String(count).padStart(most)}${gaps ? `  between: ${showFigures(gaps, "ms")}` : ""}`;
  });
  return lines.join("\n");
}

const command = defineCommand({
  meta: {
    name: "irq.ts",
    description: `Enable a device's interrupts, wait for them and count them; or measure their latency.

Examples:
  bun run irq.ts 0000:00:09.0 --timeout 60
  bun run irq.ts 00:05.0 --kind msi --count 1 --poke 0:0x60=1 --ack 0:0x64=1
  bun run irq.ts 00:05.0 --kind intx --latency --poke 0:0x60=1 --ack 0:0x64=1
  bun run irq.ts model:vp9 --latency --poke 0:0x184=2,0:0x40=2 --ack 0:0x180=2

Waits for --count interrupts, or without --count for the whole --timeout. Ctrl-C ends the wait,
too; the counts are printed all the same. INTx is a level: it fires again at once
unless --ack makes the device lower it. A req is the kernel asking for the device back; the
first one ends the wait. --poke and --ack write 32 bits; lists are written in the order given.

--latency triggers one interrupt after the other, ${LATENCY_ROUNDS} without --count. Each round repeats all writes
of --poke, and measures from just before the last write to the return of a blocking wait.
--timeout applies to each round. A vfio-user server does not answer these writes, so if it refuses one,
the interrupt is missing.

--json: device, kind, interrupts (for each vector: vector, count, betweenMs) or latencyUs and
rounds; the figures are median, p99, least and most, or null if there are none.

${OPENING}
Exit codes: 0 all interrupts of --count arrived (without --count: at least one), 1 fewer did, or the device
failed, 2 usage, 5 the device does not answer, 130 Ctrl-C before that.`,
  },
  args: {
    ...deviceArgs,
    kind: {
      type: "enum",
      options: [...kinds],
      description: "Kind of interrupt (default: the first of msix, msi, intx that the device has)",
    },
    vector: {
      type: "string",
      valueHint: "N",
      description: "Vector to watch (default: the first 16; with --latency 0)",
    },
    count: { type: "string", valueHint: "N", description: "Interrupts to wait for, or rounds of --latency" },
    timeout: {
      type: "string",
      default: "10",
      valueHint: "S",
      description: "Seconds to wait at most, also for each answer from a server",
    },
    poke: {
      type: "string",
      valueHint: "BAR:OFFSET=VALUE",
      description: "Write this after enabling the vectors, to trigger one",
    },
    ack: { type: "string", valueHint: "BAR:OFFSET=VALUE", description: "Write this after each interrupt" },
    latency: { type: "boolean", default: false, description: "Measure the time from --poke to the waiter" },
  },
  run: ({ args }) =>
    endWith(async () => {
      const spec = required(args.spec, "the device");
      const vector =
        args.vector === undefined ? undefined : wholeNumber("--vector", args.vector, 0, MOST_VECTORS - 1);
      const wanted = args.count ?? (args.latency ? LATENCY_ROUNDS : args.kind === "req" ? "1" : undefined);
      const count = wanted === undefined ? undefined : wholeNumber("--count", wanted, 1, MOST_INTERRUPTS);
      const limitMs = timeoutMs(args.timeout);
      const pokes = parseWrites("--poke", args.poke);
      const acks = parseWrites("--ack", args.ack);
      if (args.latency && pokes.length === 0)
        throw new UsageError("--latency needs --poke BAR:OFFSET=VALUE, the write that triggers an interrupt");

      using device = openDeviceOf(spec, { timeoutMs: limitMs, postWrites: args.latency });
      const triggers = openWrites(device, pokes);
      const acknowledgements = openWrites(device, acks);
      using armed = arm(
        device,
        args.kind as InterruptKind | undefined,
        vector ?? (args.latency ? 0 : undefined),
      );
      const { kind } = armed;
      const handle = () => {
        for (const acknowledge of acknowledgements) acknowledge();
        if (kind === "intx") device.unmaskIntx();
      };

      let got: number;
      if (args.latency) {
        const trigger = triggers.pop()!;
        const prepare = () => {
          for (const write of triggers) write();
        };
        const latencies = await measureLatency(armed, count!, limitMs, prepare, trigger, handle);
        got = latencies.length;
        const figures = figuresOf(latencies);
        if (args.json) printJson({ device: spec, kind, rounds: got, latencyUs: figures ?? null });
        else if (figures) console.log(`${kind} latency of ${got} rounds: ${showFigures(figures, "us")}`);
      } else {
        for (const write of triggers) write();
        const seen = await countInterrupts(armed, count ?? Number.POSITIVE_INFINITY, limitMs, handle);
        got = seen.reduce((sum, vector) => sum + vector.count, 0);
        if (args.json) {
          const interrupts = seen.map(({ vector, count, timesMs }) => {
            return { vector, count, betweenMs: figuresOf(between(timesMs)) ?? null };
          });
          printJson({ device: spec, kind, interrupts });
        } else console.log(showCounts(kind, seen));
      }
      checkPresent(device);
      if (got >= (count ?? 1)) return 0;
      const came = `${count === undefined ? got : `${got} of ${count}`} ${kind} interrupts arrived`;
      const ended = interrupted.aborted ? "before the interruption" : `within ${limitMs / 1000} s`;
      await say("error", `${spec}: ${came} ${ended}`);
      return interrupted.aborted ? ExitCode.INTERRUPTED : 1;
    }),
});

await runVerb(command, { required: ["spec"] });
