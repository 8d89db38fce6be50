/** What a run of the campaign `kills` is made of. */
import fc, { type Arbitrary } from "fast-check";

export type KillSignal = "SIGKILL" | "SIGTERM" | "SIGINT" | "SIGSTOP" | "SIGCONT";

/** Signals to the target, one after the other. */
export type Signals = readonly {
  readonly signal: KillSignal;
  /** After the one before; of the first one, after the moment. */
  readonly afterMs: number;
}[];

/** When the first signal is sent: after the program's start, or once the output has so many frames. */
export type Moment = { readonly ms: number } | { readonly frames: number };

export interface EncodeCase {
  /** Where the model runs: in encode.ts's process, in its own, or behind a socket of model.ts. */
  readonly scene: "inside" | "child" | "socket";
  /** Which processes are signalled: the model is encode.ts where it runs inside. */
  readonly target: "encode" | "model" | "all";
  readonly signals: Signals;
  readonly moment: Moment;
  readonly codec: "null" | "libvpx";
  readonly container: "ivf" | "webm";
  /** Of model.ts. */
  readonly standby: boolean;
  /** How often encode.ts may start its model again, or try the socket of a model.ts that ended, where the next one comes. */
  readonly recover: 0 | 3;
}

export interface GuestCase {
  readonly scene: "guest";
  /** Part of the command line of the processes that are signalled; guest.ts itself, or all. */
  readonly target: "guest.ts" | "qemu-system" | "served-program" | "virtiofsd" | "all";
  readonly signals: Signals;
  readonly moment: { readonly ms: number };
}

export type KillCase = EncodeCase | GuestCase;

/** Frames of the input. */
export const FRAMES = 3000;

const delay = (max: number) => fc.integer({ min: 0, max });
const ends = fc.constantFrom<KillSignal>("SIGTERM", "SIGINT");

/** A process that is stopped is always continued or killed. */
const signals: Arbitrary<Signals> = fc.oneof(
  { weight: 4, arbitrary: fc.constant([{ signal: "SIGKILL", afterMs: 0 }] as const) },
  { weight: 3, arbitrary: ends.map((signal) => [{ signal, afterMs: 0 }]) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(ends, fc.constantFrom<KillSignal>("SIGKILL", "SIGTERM", "SIGINT"), delay(900))
      .map(([first, second, afterMs]) => [
        { signal: first, afterMs: 0 },
        { signal: second, afterMs },
      ]),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        fc.constantFrom<readonly KillSignal[]>(["SIGCONT"], ["SIGKILL"], ["SIGTERM", "SIGCONT"]),
        delay(400),
      )
      .map(
        ([then, afterMs]): Signals => [
          { signal: "SIGSTOP", afterMs: 0 },
          ...then.map((signal) => ({ signal, afterMs })),
        ],
      ),
  },
);

const moment: Arbitrary<Moment> = fc.oneof(
  fc.record({ ms: delay(1200) }),
  fc.record({ frames: fc.integer({ min: 0, max: FRAMES }) }),
);

const encodeCase: Arbitrary<EncodeCase> = fc.record({
  scene: fc.constantFrom("inside", "child", "socket"),
  target: fc.constantFrom("encode", "model", "all"),
  signals,
  moment,
  codec: fc.constantFrom("null", "null", "libvpx"),
  container: fc.constantFrom("ivf", "ivf", "ivf", "webm"),
  standby: fc.boolean(),
  recover: fc.constantFrom(0, 3),
});

const guestCase: Arbitrary<GuestCase> = fc.record({
  scene: fc.constant("guest"),
  target: fc.constantFrom("guest.ts", "qemu-system", "served-program", "virtiofsd", "all"),
  signals,
  moment: fc.record({ ms: delay(14_000) }),
});

/** @param guests how many of 100 runs boot a guest, which takes as long as ten others */
export function killCases(guests: number): Arbitrary<KillCase> {
  return fc.oneof({ weight: 100 - guests, arbitrary: encodeCase }, { weight: guests, arbitrary: guestCase });
}
