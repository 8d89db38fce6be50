/** What an ordinary server replies: a device with registers, memory that can be mapped whole, and memory in parts. */
import { DeviceFlag, RegionFlag, RegionIndex, SPARSE_MMAP_CAP } from "../../../src/protocol/vfio.ts";
import { Command } from "../../../src/protocol/vfio-user.ts";
import { concat, pack } from "../raw-client.ts";
import type { FileKind } from "../server/files.ts";
import type { Capability, Fault } from "./faults.ts";

export interface Reply {
  readonly payload: Uint8Array;
  readonly files?: readonly FileKind[];
}

type RegionFault = Extract<Fault, { kind: "region" }>;
const { READ, WRITE, MMAP, CAPS } = RegionFlag;
const IRQ_COUNTS = [1, 4, 40, 1, 1] as const;
const REGION_INFO_BYTES = 32;

const region = (sizeBytes: number, flags: number, more: Partial<RegionFault> = {}): RegionFault => ({
  ...{ kind: "region", sizeBytes: BigInt(sizeBytes), flags, fileOffset: 0n, argsz: undefined },
  ...{ capabilityOffset: undefined, capabilities: [], file: "sealed", ...more },
});
const parts: Capability = {
  ...{ id: SPARSE_MMAP_CAP.ID, version: SPARSE_MMAP_CAP.VERSION, next: undefined, count: undefined },
  areas: [
    [0n, 4096n],
    [8192n, 4096n],
  ],
};
const regions: Readonly<Record<number, RegionFault>> = {
  0: region(4096, READ | WRITE),
  1: region(65_536, READ | WRITE | MMAP),
  2: region(65_536, READ | WRITE | MMAP | CAPS, { capabilities: [parts] }),
  [RegionIndex.CONFIG]: region(4096, READ | WRITE),
};

/** The reply to a request of this payload. */
export function replyTo(command: number, payload: DataView): Reply {
  const at = (offset: number) => (offset + 4 <= payload.byteLength ? payload.getUint32(offset, true) : 0);
  switch (command) {
    case Command.VERSION:
      return {
        payload: concat(pack("22", 0, 0), new TextEncoder().encode('{"capabilities":{"max_msg_fds":8}}\0')),
      };
    case Command.DEVICE_GET_INFO:
      return {
        payload: pack("4444", 16, DeviceFlag.PCI | DeviceFlag.RESET, RegionIndex.COUNT, IRQ_COUNTS.length),
      };
    case Command.DEVICE_GET_REGION_INFO:
      return regionReply(at(8), regions[at(8)] ?? region(0, 0));
    case Command.DEVICE_GET_IRQ_INFO:
      return { payload: pack("4444", 16, 1, at(8), IRQ_COUNTS[at(8)] ?? 0) };
    case Command.REGION_READ: {
      const reply = new Uint8Array(16 + at(12));
      reply.set(new Uint8Array(payload.buffer, payload.byteOffset, 16));
      return { payload: reply };
    }
    case Command.REGION_WRITE:
    case Command.DMA_UNMAP: {
      const sizeBytes = Math.min(payload.byteLength, command === Command.DMA_UNMAP ? 24 : 16);
      return { payload: new Uint8Array(payload.buffer, payload.byteOffset, sizeBytes).slice() };
    }
    default:
      return { payload: new Uint8Array() };
  }
}

/** A region's information, and its file if it can be mapped. */
export function regionReply(index: number, info: RegionFault): Reply {
  const { sizeBytes, flags, fileOffset, capabilityOffset, file } = info;
  const chain = chainOf(info.capabilities);
  const argsz = info.argsz ?? REGION_INFO_BYTES + chain.byteLength;
  const first = capabilityOffset ?? (chain.byteLength > 0 ? REGION_INFO_BYTES : 0);
  return {
    payload: concat(pack("444488", argsz, flags >>> 0, index, first, sizeBytes, fileOffset), chain),
    files: flags & MMAP ? [file] : [],
  };
}

function chainOf(capabilities: readonly Capability[]): Uint8Array {
  let end = REGION_INFO_BYTES;
  const all = capabilities.map(({ id, version, next, count, areas }, i) => {
    end += SPARSE_MMAP_CAP.HEADER_BYTES + areas.length * SPARSE_MMAP_CAP.AREA_BYTES;
    const behind = next ?? (i + 1 < capabilities.length ? end : 0);
    const list = areas.flat();
    return concat(
      pack("22444", id, version, behind, count ?? areas.length, 0),
      pack("8".repeat(list.length), ...list),
    );
  });
  return concat(...all);
}
