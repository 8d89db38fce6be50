/** What grows in the growth case: series of rows, each compared with the first row of its series. */

/** What programs/growth.ts is given. */
export interface GrowthRun {
  readonly width: number;
  readonly height: number;
  /** Frames in flight. */
  readonly depth: number;
  /** Of all devices together. */
  readonly frames: number;
  readonly devices: number;
}

export interface GrowthRow extends GrowthRun {
  readonly label: string;
  /** Runs in the last round only, because it takes minutes. */
  readonly once?: true;
}

export interface GrowthSeries {
  readonly name: string;
  /** For the chart. */
  readonly title: string;
  readonly unit: "ns" | "us";
  /** What the time of a frame, in us, is divided by; the quotient has the series' unit. */
  readonly per: (run: GrowthRun) => number;
  /** Whether a row is judged: not if its threads exceed the processors. */
  readonly isBound: (run: GrowthRun, processors: number) => boolean;
  readonly rows: readonly GrowthRow[];
}

const base = { width: 640, height: 360, depth: 4, frames: 2000, devices: 1 } as const;
const always = () => true;
/** The driver's thread, and for each device its model's for messages and the codec's. */
const threadsFor = (devices: number) => 1 + 2 * devices;

const sizes: readonly (readonly [width: number, height: number, frames: number])[] = [
  [64, 64, 5000],
  [320, 180, 4000],
  [640, 360, 3000],
  [1280, 720, 1500],
  [1920, 1080, 800],
  [3840, 2160, 250],
];
const counts = [1000, 10_000, 100_000, 1_000_000];

/** The plan of bench.ts. */
export const growthPlan: readonly GrowthSeries[] = [
  {
    name: "per pixel",
    title: "Larger frames: time per pixel",
    unit: "ns",
    per: ({ width, height }) => (width * height) / 1000,
    isBound: always,
    rows: sizes.map(([width, height, frames]) => ({
      ...base,
      label: `${width}x${height}`,
      ...{ width, height, frames },
    })),
  },
  {
    name: "per frame",
    title: "More frames in flight: time per 640x360 frame",
    unit: "us",
    per: () => 1,
    isBound: always,
    rows: [1, 2, 4, 8, 16, 32, 64].map((depth) => ({ ...base, label: `depth ${depth}`, depth })),
  },
  {
    name: "per frame",
    title: "Longer videos: time per 64x64 frame",
    unit: "us",
    per: () => 1,
    isBound: always,
    rows: counts.map((frames) => ({
      ...base,
      label: `${frames.toLocaleString("en")} frames`,
      ...{ width: 64, height: 64, frames },
      ...(frames > 100_000 && { once: true }),
    })),
  },
  {
    name: "per frame of all",
    title: "More devices at once: time per 640x360 frame of all",
    unit: "us",
    per: () => 1,
    isBound: ({ devices }, processors) => processors >= threadsFor(devices),
    rows: [1, 2, 4].map((devices) => ({
      ...base,
      label: `${devices} device${devices > 1 ? "s" : ""}`,
      devices,
    })),
  },
];
