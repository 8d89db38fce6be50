/** encodeFile that is told to end while its output is being opened. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { openFrameSource } from "../../../src/media/source.ts";
import { openPacketWriter } from "../../../src/media/writer.ts";
import { encodeFile } from "../../../src/vp9/encoder/file.ts";
import { readIvf } from "../../media/read-ivf.ts";
import { tempFolder } from "../../media/rig.ts";
import "../../../src/schemes.ts";

test("an existing output that is emptied when the end comes is completed, with the frame that was read", async () => {
  using folder = tempFolder();
  const path = folder.file("out.ivf");
  writeFileSync(path, "what was there before");
  const source = await openFrameSource("/dev/zero", { size: { width: 16, height: 16 } });
  const end = new AbortController();
  const openWriter = async () => {
    const writer = openPacketWriter(path, source.video);
    end.abort();
    await Bun.sleep(20);
    return writer;
  };
  const { frames } = await encodeFile(source, openWriter, {
    encoder: { device: "model:vp9?codec=null" },
    config: {},
    signal: end.signal,
  });
  expect(frames).toBe(1);
  expect(readIvf(readFileSync(path))).toMatchObject({ frameCount: 1, packets: [{ pts: 0 }] });
});

test("an output that never opens does not keep the end waiting", async () => {
  const source = await openFrameSource("/dev/zero", { size: { width: 16, height: 16 } });
  const end = new AbortController();
  const openWriter = () => {
    end.abort();
    return new Promise<never>(() => {});
  };
  const { frames } = await encodeFile(source, openWriter, {
    encoder: { device: "model:vp9?codec=null" },
    config: {},
    signal: end.signal,
  });
  expect(frames).toBe(0);
});
