/** A function that is unplugged while it encodes, and plugged in again: the encoding goes on. */
import { expect, test } from "bun:test";
import { bootGuest } from "../../src/exports/guest.ts";
import { until } from "../scripts/rig.ts";

const BOOT_MS = 120_000;
const TIMEOUT_MS = 300_000;
const MODEL = "model:vp9?codec=null";
const FRAME_BYTES = (64 * 64 * 3) / 2;
const IVF_HEADER_BYTES = 32;
/** An IVF frame header, and the null codec's packet: "NULL", and the CRC-32 of the frame, which is a whole layout here. */
const PACKET_BYTES = 12 + 16;
const PACE_MS = 20;

const frame = (index: number) =>
  new Uint8Array(new ArrayBuffer(FRAME_BYTES)).fill(index % 251).fill(Math.floor(index / 251), 0, 64);

test.each(["x86_64", "aarch64"] as const)(
  "in an %s guest, by VFIO and by the window, no frame is missing",
  async (arch) => {
    await using guest = await bootGuest({ arch, hotplugPorts: 1, timeoutMs: BOOT_MS });
    let device = await guest.plug(MODEL);
    const { address } = device;
    for (const way of ["vfio", "sysfs"] as const) {
      const script = `${way === "vfio" ? `bun run bind.ts ${address} > /dev/null` : `bun run release.ts ${address} > /dev/null || true`}
        bun run encode.ts - --size 64x64 --fps 25 --device ${way === "vfio" ? "" : "sysfs:"}${address} -o - --json`;
      const input = new TransformStream<Uint8Array, Uint8Array>();
      const writer = input.writable.getWriter();
      let output = Buffer.alloc(0);
      let report = "";
      const running = guest.run(["sh", "-ec", script], {
        cwd: "/vfiokit",
        stdin: input.readable,
        onStdout: (bytes) => {
          output = Buffer.concat([output, bytes]);
        },
        onStderr: (bytes) => {
          report += Buffer.from(bytes).toString();
        },
      });
      running.catch(() => {});
      let fed = 0;
      let ends = false;
      const feeding = (async () => {
        for (; !ends; fed++) {
          await writer.write(frame(fed));
          await Bun.sleep(PACE_MS);
        }
        await writer.close();
      })();
      const packets = () => Math.floor((output.byteLength - IVF_HEADER_BYTES) / PACKET_BYTES);
      await until(() => packets() >= 10, `packets of the ${arch} guest: ${report}`, 60_000);
      await device.unplug();
      const before = packets();
      device = await guest.plug(MODEL);
      expect(device.address).toBe(address);
      await until(() => packets() >= before + 20, `packets after the device is back: ${report}`, 60_000);
      ends = true;
      await feeding;
      const { exitCode } = await running;
      const { frames, recoveries, error, path } = JSON.parse(report);
      expect({ exitCode, frames, error, path, packets: packets() }).toEqual({
        ...{ exitCode: 0, frames: fed, error: undefined },
        ...{ path: way === "vfio" ? "dma" : "window", packets: fed },
      });
      expect(recoveries.length).toBe(1);
      const sums = Array.from({ length: fed }, (_, i) =>
        output.readUInt32LE(IVF_HEADER_BYTES + i * PACKET_BYTES + 12 + 4),
      );
      expect(sums).toEqual(Array.from({ length: fed }, (_, i) => Bun.hash.crc32(frame(i))));
      console.log(`${arch}, ${path}: ${fed} frames, ${before} before: ${recoveries[0]}`);
    }
  },
  TIMEOUT_MS,
);
