/** What the verbs for devices say in a guest whose device model has died: its configuration space still answers there. */
import { expect, test } from "bun:test";
import { runGuest } from "../../src/guest/run-guest.ts";
import "../../src/schemes.ts";

const TIMEOUT_MS = 180_000;
const ONES = "0xffffffff";
const SILENT = "its configuration space answers, but the first word of BAR0 is all ones";

test(
  "peek, poke, regs and reset say that it does not answer, show what they read, and end with exit code 5",
  async () => {
    const verbs = [
      "peek.ts 00:01.0 0:0",
      "poke.ts 00:01.0 0:0x40 1 --read-back",
      "regs.ts 00:01.0 STATUS --table encoder",
      "reset.ts 00:01.0",
    ];
    const script = [
      "bun run bind.ts 00:01.0 > /dev/null || exit 1",
      "head -c 61440 /dev/zero > in.yuv",
      // The model is killed when its second frame would complete.
      "bun run encode.ts in.yuv --size 64x64 --fps 10 --timeout 30 --recover 0 --quiet -o out.ivf 2> /dev/null && exit 1",
      ...verbs.map((verb) => `bun run ${verb} 2>&1; echo "exit code $?"`),
    ];
    const output: string[] = [];
    const { exitCode } = await runGuest({
      arch: "x86_64",
      devices: ["model:vp9?codec=null&fault=die@2"],
      command: ["sh", "-c", script.join("\n")],
      onStdout: (bytes) => void output.push(new TextDecoder().decode(bytes)),
      onStderr: () => {},
      timeoutMs: TIMEOUT_MS - 20_000,
    });
    const text = output.join("");
    expect(exitCode).toBe(0);
    const shown = [`0x00000000  ${ONES}`, `0x00000040  ${ONES}`, `0x044  STATUS  ${ONES}`];
    for (const line of shown) expect(text).toContain(line);
    expect(text.split(SILENT)).toHaveLength(verbs.length + 1);
    expect([...text.matchAll(/^exit code \d+$/gm)].map(([line]) => line)).toEqual(
      verbs.map(() => "exit code 5"),
    );
  },
  TIMEOUT_MS,
);
