/** What `output` is told of each chunk. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { DecoderConfig, EncoderConfig } from "../../../src/index.ts";
import { config, frames, record } from "./rig.ts";

setDefaultTimeout(60_000);

async function describedBy(more: Partial<EncoderConfig>): Promise<DecoderConfig | undefined> {
  using recorded = record();
  await recorded.encoder.configure({ ...config, ...more });
  await recorded.encoder.encode(frames[0]!);
  await recorded.encoder.flush();
  return recorded.metadata[0]!.decoderConfig;
}

describe("the decoder's config", () => {
  test("comes with the first chunk after each configure, and with no other", async () => {
    using recorded = record();
    const { encoder, chunks, metadata } = recorded;
    await encoder.configure(config);
    for (const [index, frame] of frames.entries()) await encoder.encode(frame, { keyFrame: index === 4 });
    const small = { ...config, width: 160, height: 96 };
    await encoder.configure(small);
    const data = frames[0]!.data.subarray(0, (160 * 96 * 3) / 2);
    for (const timestamp of [0, 1e6]) await encoder.encode({ data, timestamp });
    await encoder.configure(small);
    for (const timestamp of [0, 1e6]) await encoder.encode({ data, timestamp });
    await encoder.flush();
    const described = metadata.flatMap(({ decoderConfig }, index) =>
      decoderConfig ? [[index, decoderConfig] as const] : [],
    );
    const large = { codec: "vp09.00.11.08", codedWidth: 320, codedHeight: 192 };
    const next = { codec: "vp09.00.10.08", codedWidth: 160, codedHeight: 96 };
    expect(described).toEqual([
      [0, large],
      [9, next],
      [11, next],
    ]);
    for (const [index] of described) expect(chunks[index]!.type).toBe("key");
    expect(metadata[4]).toEqual({});
  });

  test("names the lowest level that fits the size and the rate, or what the config names", async () => {
    expect((await describedBy({ codec: "vp9" }))?.codec).toBe("vp09.00.11.08");
    expect((await describedBy({ framerate: 60 }))?.codec).toBe("vp09.00.20.08");
    expect((await describedBy({ codec: "vp09.00.41.08" }))?.codec).toBe("vp09.00.41.08");
  });

  test("has the display size if the config has one", async () => {
    expect(await describedBy({ displayWidth: 640, displayHeight: 192 })).toMatchObject({
      codedWidth: 320,
      codedHeight: 192,
      displayAspectWidth: 640,
      displayAspectHeight: 192,
    });
    expect(await describedBy({ displayWidth: 400 })).toMatchObject({
      displayAspectWidth: 400,
      displayAspectHeight: 192,
    });
  });

  test("has the colour if the config's codec has it", async () => {
    expect((await describedBy({ codec: "vp09.00.31.08.01.09.16.09.01" }))?.colorSpace).toEqual({
      primaries: "bt2020",
      transfer: "pq",
      matrix: "bt2020-ncl",
      fullRange: true,
    });
    expect((await describedBy({ codec: "vp09.00.31.08.01.02.01.02.00" }))?.colorSpace).toEqual({
      transfer: "bt709",
      fullRange: false,
    });
    expect(await describedBy({ codec: "vp09.00.31.08" })).not.toHaveProperty("colorSpace");
  });
});
