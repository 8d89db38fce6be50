/** Plays and seeks `/file/clip.webm`, whose frames have their number as eight blocks of black or white over grey. */

import type { Played } from "../played.ts";

const TIMES = [3, 0.52, 4.99, 1.23, 2.999, 0];

export default async function (): Promise<Played> {
  const video = document.createElement("video");
  video.muted = true;
  video.src = "/file/clip.webm";
  await event(video, "loadeddata");
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;

  /** The middle of each ninth of the picture's width: eight bits, then the grey. */
  const look = () => {
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const values = Array.from({ length: 9 }, (_, i) => {
      const x = Math.floor(((i + 0.5) * canvas.width) / 9);
      return context.getImageData(x, Math.floor(canvas.height / 2), 1, 1).data[1]!;
    });
    const frame = values.slice(0, 8).reduce((number, value) => number * 2 + (value > 128 ? 1 : 0), 0);
    return { frame, grey: values[8]! };
  };

  const sought: { time: number; frame: number; grey: number }[] = [];
  for (const time of TIMES) {
    // At "seeked" the frame sought may not be presented yet, and the one before may just have been.
    const presented = new Promise<void>((resolve) => {
      const look = (_: number, { mediaTime }: VideoFrameCallbackMetadata) => {
        if (Math.abs(mediaTime - time) < 0.1) resolve();
        else video.requestVideoFrameCallback(look);
      };
      video.requestVideoFrameCallback(look);
    });
    video.currentTime = time;
    await Promise.all([event(video, "seeked"), presented]);
    sought.push({ time, ...look() });
  }

  const frames: number[] = [];
  const shown = () => {
    frames.push(look().frame);
    video.requestVideoFrameCallback(shown);
  };
  video.requestVideoFrameCallback(shown);
  video.playbackRate = 2;
  await video.play();
  await event(video, "ended");
  // Likewise at "ended".
  await new Promise((resolve) => setTimeout(resolve, 500));
  frames.push(look().frame);
  const { duration, videoWidth, videoHeight, seekable } = video;
  return { duration, size: [videoWidth, videoHeight], sought, frames, seekableTo: seekable.end(0) };
}

function event(video: HTMLVideoElement, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    video.addEventListener(name, () => resolve(), { once: true });
    video.addEventListener("error", () => reject(new Error(video.error?.message)), { once: true });
  });
}
