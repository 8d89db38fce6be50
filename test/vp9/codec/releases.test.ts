/** The engine with each of Debian's releases of libvpx, against vpxenc of the same release. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { CodecSettings } from "../../../src/vp9/codec/engine.ts";
import { framesOf, peopleClip, run, settingsFor, streetClip, vpxenc } from "./reference.ts";
import { encodeWith, fetchRelease, releases, summary } from "./releases.ts";

// The releases are fetched the first time.
setDefaultTimeout(120_000);

const cases: readonly Partial<CodecSettings>[] = [
  { rateControl: "cbr", bitrateKbps: 300, speed: 8 },
  { rateControl: "cbr", bitrateKbps: 1500, speed: 5, gopFrames: 10 },
  { rateControl: "vbr", bitrateKbps: 300, speed: 6, gopFrames: 5 },
  { rateControl: "vbr", bitrateKbps: 500, speed: 8, threads: 2 },
  { rateControl: "cq", bitrateKbps: 2000, cqLevel: 30, speed: 7 },
  { rateControl: "cq", cqLevel: 0, speed: 9, gopFrames: 0 },
];
const people = peopleClip({ times: 3 });
const odd = peopleClip({ width: 353, height: 289, format: "nv12" });
const street = streetClip(3);
const inputs = [
  ...cases.map((settings) => ({ name: "320x192", clip: people, settings })),
  { name: "353x289 NV12", clip: odd, settings: { bitrateKbps: 400, speed: 7 } },
  { name: "1080p", clip: street, settings: { bitrateKbps: 4000, speed: 8 } },
];

describe.each(Object.entries(releases))("%s's libvpx", (suite, { version, soname }) => {
  const release = fetchRelease(suite as keyof typeof releases);

  test(`is ${version}, as its vpxenc is`, async () => {
    const { library, vpxenc } = await release;
    expect(library).toEndWith(soname);
    const help = new TextDecoder().decode(run([...vpxenc, "--help"]).stdout);
    expect(help).toContain(`WebM Project VP9 Encoder v${version}`);
  });

  test.each(
    inputs.map(({ name, clip, settings }) => [name, JSON.stringify(settings), clip, settings] as const),
  )("gives the bytes of its vpxenc for %s with %s", async (_, __, clip, more) => {
    const settings = settingsFor(clip, more);
    const { library, vpxenc: program } = await release;
    const ours = await encodeWith(library, clip, settings);
    expect(ours.version).toBe(`libvpx v${version}`);
    expect(ours.packets).toHaveLength(framesOf(clip).length);
    expect(ours.packets).toEqual(summary(vpxenc(clip, settings, program)));
  });
});

test("the two releases do not give the same bytes, so neither stands in for the other", async () => {
  const settings = settingsFor(people, cases[1]);
  const [older, newer] = await Promise.all(
    (["bookworm", "trixie"] as const).map(async (suite) => {
      const { packets } = await encodeWith((await fetchRelease(suite)).library, people, settings);
      return packets;
    }),
  );
  expect(older).not.toEqual(newer);
});
