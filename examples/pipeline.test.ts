/** An encoder in a test pipeline: frames in, packets out, and what each must be. Names the model; a card's address works, too. */
import { expect, test } from "bun:test";
import { encodeFrames } from "vfiokit";

const device = process.env.ENCODER ?? "model:vp9";
const [width, height, framerate] = [320, 180, 25];
const FRAMES = 50;

/** A grey square that moves over a dark ground, as I420. */
function* movingSquare() {
  for (let i = 0; i < FRAMES; i++) {
    const data = new Uint8Array((width * height * 3) / 2).fill(128);
    data.fill(40, 0, width * height);
    for (let y = 60; y < 120; y++) data.fill(180, y * width + i * 4, y * width + i * 4 + 60);
    yield { data, timestamp: i * 40_000, keyFrame: i === 25 };
  }
}

test("each frame gives a packet, in order, within the bitrate, and the key frame is where it was asked for", async () => {
  const config = { width, height, framerate, bitrate: 300_000 };
  const packets: { type: string; timestamp: number; bytes: number }[] = [];
  for await (const { type, timestamp, data } of encodeFrames({ device }, config, movingSquare()))
    packets.push({ type, timestamp, bytes: data.byteLength });
  expect(packets.map(({ timestamp }) => timestamp)).toEqual(
    Array.from({ length: FRAMES }, (_, i) => i * 40_000),
  );
  expect(packets.flatMap(({ type }, i) => (type === "key" ? [i] : []))).toEqual([0, 25]);
  const bits = packets.reduce((sum, { bytes }) => sum + bytes * 8, 0);
  expect(bits / (FRAMES / framerate)).toBeLessThan(config.bitrate * 1.5);
}, 30_000);
