/** The outcome of a run of encode.ts, reported once, as JSON or as text. */
import { MediaError } from "../../src/media/media-error.ts";
import { EncodeFileError } from "../../src/vp9/encoder/file.ts";
import type { EncodeReport } from "../../src/vp9/encoder/report.ts";
import { ExitCode } from "../cli/exit-code.ts";
import { wordError } from "../cli/remedy.ts";
import { say } from "../cli/say.ts";
import { wordMediaError } from "./options.ts";

export class Interrupted extends Error {
  constructor() {
    super("interrupted");
  }
}

const stageExitCodes = { input: ExitCode.INPUT, device: ExitCode.DEVICE, output: ExitCode.OUTPUT } as const;

interface Asked {
  readonly input?: string | undefined;
  readonly output?: string | undefined;
  readonly device?: string | undefined;
  readonly path?: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
}

export class Outcome {
  readonly #asked: Asked;
  /** The device's settings. */
  settings: Readonly<Record<string, unknown>> = {};
  device: string | undefined;
  notes: readonly string[] = [];
  report: EncodeReport | undefined;
  /** The exit code if the current stage fails, and at the end the process's own. */
  exitCode: number = ExitCode.USAGE;
  #errorText: string | undefined;
  /** The lines for people so far, one after the other. */
  #said = Promise.resolve();
  #told = false;

  constructor(asked: Asked) {
    this.#asked = asked;
    this.device = asked.device;
  }

  /** Whether people are told more than errors. */
  get talks(): boolean {
    return !this.#asked.quiet && !this.#asked.json;
  }

  inform(lines: readonly string[]): void {
    for (const line of this.talks ? lines : []) this.#said = this.#said.then(() => say("info", line));
  }

  failed(error: unknown): void {
    if (error instanceof EncodeFileError) {
      this.report = error.report;
      this.exitCode = stageExitCodes[error.stage];
    }
    if (error instanceof Interrupted) this.exitCode = ExitCode.INTERRUPTED;
    this.#errorText = error instanceof MediaError ? wordMediaError(error) : wordError(error);
  }

  /** Prints the outcome; nothing when called again. */
  async tell(): Promise<void> {
    if (this.#told) return;
    this.#told = true;
    this.inform(
      (this.report?.recoveries ?? []).map((why) => `the encoding went on after this failure: ${why}`),
    );
    await this.#said;
    const { json, output } = this.#asked;
    const error = this.#errorText === undefined ? undefined : this.#errorText + this.#kept();
    // Standard output is for the video when it goes there. (process.stdout would take 9 ms to set up.)
    const print = output === "-" ? console.error : console.log;
    if (json) print(JSON.stringify(this.#asJson(error)));
    else if (error !== undefined) await say("error", error);
    else if (this.talks && this.report) print(summary(this.report, output!));
  }

  /** Says what the output holds in spite of an error. */
  #kept(): string {
    const { frames = 0 } = this.report ?? {};
    if (frames === 0) return "";
    const { output } = this.#asked;
    return `\n${output === "-" ? "the output" : output} holds the ${frames === 1 ? "frame" : `${frames} frames`} before that`;
  }

  /** The fields are in docs/encode.md. */
  #asJson(error: string | undefined) {
    const { input = null, output, path = null } = this.#asked;
    return {
      ...this.report,
      input,
      output,
      device: this.device,
      path: this.report?.path ?? path,
      settings: this.settings,
      ...(this.notes.length === 0 ? {} : { notes: this.notes }),
      ...(error === undefined ? {} : { error }),
    };
  }
}

function summary(report: EncodeReport, output: string): string {
  const { frames, keyFrames, droppedFrames, packetBytes, wallMs, recoveries } = report;
  const dropped = droppedFrames === 0 ? "" : `, ${droppedFrames} dropped`;
  const times = recoveries.length;
  const recovered = times === 0 ? "" : `, ${times} ${times === 1 ? "recovery" : "recoveries"}`;
  const fps = (frames / wallMs) * 1000;
  return `${frames} frames (${keyFrames} key)${dropped}${recovered}, ${packetBytes} bytes, ${(wallMs / 1000).toFixed(2)} s (${fps.toFixed(1)} fps) -> ${output}`;
}
