import type { FrameSource } from "./frame-source.ts";
import { frameSizeBytes, type VideoFormat } from "./video.ts";

const WIDTH = 320;
const HEIGHT = 180;
const TILE = 64;
const BALL_RADIUS = 28;

/**
 * A built-in moving picture to try an encoder with: drifting gradients under film grain, and a textured ball that
 * bounces through them. 320x180 I420 at 25 frames a second; the same bytes on every machine (integers only).
 */
export function builtInClip(frames = 50): FrameSource {
  const video: VideoFormat = {
    width: WIDTH,
    height: HEIGHT,
    format: "i420",
    fps: { num: 25, den: 1 },
    timebase: { num: 1, den: 25 },
  };
  const frameBytes = frameSizeBytes(video);
  const grain = grainTile();
  let index = 0;
  return {
    name: "built-in clip",
    video,
    frameCount: frames,
    read(into) {
      if (into.length !== frameBytes)
        throw new RangeError(
          `a frame of the built-in clip is ${frameBytes} bytes; ${into.length} were given to fill`,
        );
      if (index === frames) return false;
      drawLuma(into, index, grain);
      drawChroma(into.subarray(WIDTH * HEIGHT), index);
      index++;
      return true;
    },
    [Symbol.dispose]() {},
  };
}

function drawLuma(y: Uint8Array, index: number, grain: Uint8Array): void {
  const ballX = BALL_RADIUS + bounce(index * 7, WIDTH - 2 * BALL_RADIUS);
  const ballY = BALL_RADIUS + bounce(index * 5, HEIGHT - 2 * BALL_RADIUS);
  for (let row = 0, at = 0; row < HEIGHT; row++) {
    const dy = row - ballY;
    for (let column = 0; column < WIDTH; column++, at++) {
      const dx = column - ballX;
      const inBall = dx * dx + dy * dy < BALL_RADIUS * BALL_RADIUS;
      const light = inBall
        ? 150 + ((dx ^ dy) & 31) * 2
        : 40 + ((bounce(column + 2 * index, 127) + bounce(row * 2 - index, 127)) >> 1);
      y[at] = light + grain[((row + index) % TILE) * TILE + ((column + 3 * index) % TILE)]!;
    }
  }
}

function drawChroma(uv: Uint8Array, index: number): void {
  const columns = WIDTH / 2;
  const rows = HEIGHT / 2;
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at++) {
      uv[at] = 96 + bounce(column + index, 64);
      uv[at + columns * rows] = 96 + bounce(row + 2 * index, 64);
    }
  }
}

/** A triangle wave between 0 and `height`. */
function bounce(at: number, height: number): number {
  const phase = Math.abs(at) % (2 * height);
  return phase < height ? phase : 2 * height - phase;
}

/** 0 to 7, from a linear congruential generator (Numerical Recipes' constants). */
function grainTile(): Uint8Array {
  let state = 2022;
  return Uint8Array.from({ length: TILE * TILE }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 29;
  });
}
