/** A VFIO container: one IOMMU address space, type1v2, or none in noiommu mode. */
import { type Fd, ioctl } from "../../os/fd.ts";
import type { Mapping } from "../../os/memory.ts";
import { DmaFlag, findCapability } from "../../protocol/vfio.ts";
import { DeviceError } from "../device.ts";
import type { IovaRange } from "../iova.ts";
import { API_VERSION, IommuCapability, NOIOMMU, TYPE1V2, Vfio } from "./abi.ts";
import { openNode } from "./node.ts";
import { readStructure } from "./structure.ts";

/** The node that makes containers. */
export const CONTAINER = "/dev/vfio/vfio";
const INFO_BYTES = 24;

const advice: Readonly<Record<string, string>> = {
  ENOENT: "VFIO is not loaded: modprobe vfio-pci",
  ENODEV: "VFIO is not loaded: modprobe vfio-pci",
  EACCES: `this user may not open it: run as root, or chmod 0666 ${CONTAINER} (the groups have permissions of their own)`,
};

export interface IommuInfo {
  /** Mappable addresses; the whole aperture if the kernel does not say. */
  readonly ranges: readonly IovaRange[];
  /** The number of mappings still possible; undefined if the kernel does not say. */
  readonly mappingsLeft: number | undefined;
}

const names = { [TYPE1V2]: "type1v2", [NOIOMMU]: "noiommu" };

export class Container implements Disposable {
  readonly fd: Fd;
  readonly #type: keyof typeof names;

  /** Throws DeviceError. */
  constructor(spec: string, type: keyof typeof names) {
    this.#type = type;
    this.fd = openNode(CONTAINER, spec, (code) => advice[code] ?? "VFIO can't be used");
    try {
      const version = ioctl(this.fd, Vfio.GET_API_VERSION, 0, `${CONTAINER}: read the version`);
      const has = ioctl(this.fd, Vfio.CHECK_EXTENSION, type, `${CONTAINER}: look for ${names[type]}`);
      if (version !== API_VERSION || has === 0) {
        throw new DeviceError(
          `${spec}: ${CONTAINER} has version ${version} and ${has ? "a" : "no"} ${names[type]} IOMMU; version 0 with one is needed: ${type === TYPE1V2 ? "modprobe vfio_iommu_type1" : "a kernel with VFIO_NOIOMMU, whose mode is on"}`,
        );
      }
    } catch (error) {
      this.fd[Symbol.dispose]();
      throw error;
    }
  }

  /** Throws SystemError. */
  add(group: Fd, node: string): void {
    const fd = new DataView(new ArrayBuffer(4));
    fd.setInt32(0, this.fd.number, true);
    ioctl(group, Vfio.GROUP_SET_CONTAINER, fd, `${node}: put the group into a container`);
  }

  /** The container must already have a group. Throws SystemError. */
  setIommu(): void {
    ioctl(this.fd, Vfio.SET_IOMMU, this.#type, `${CONTAINER}: set the ${names[this.#type]} IOMMU`);
  }

  /** `struct vfio_iommu_type1_info`: u32 argsz, flags, u64 page sizes, u32 first capability. Throws SystemError. */
  info(): IommuInfo {
    const what = `${CONTAINER}: read the IOMMU's information`;
    const info = readStructure(this.fd, Vfio.IOMMU_GET_INFO, INFO_BYTES, what);
    const first = info.getUint32(16, true);
    const available = findCapability(info, first, INFO_BYTES, IommuCapability.DMA_AVAILABLE);
    return {
      ranges: iovaRanges(info, first),
      mappingsLeft: available === undefined ? undefined : info.getUint32(available + 8, true),
    };
  }

  /** `struct vfio_iommu_type1_dma_map`: u32 argsz, flags, u64 address, iova, size. Throws SystemError. */
  map(mapping: Mapping, iova: number | bigint): void {
    const request = new DataView(new ArrayBuffer(32));
    request.setUint32(0, 32, true);
    request.setUint32(4, DmaFlag.READ | DmaFlag.WRITE, true);
    request.setBigUint64(8, BigInt(mapping.address), true);
    request.setBigUint64(16, BigInt(iova), true);
    request.setBigUint64(24, BigInt(mapping.sizeBytes), true);
    const what = `${CONTAINER}: map ${mapping.sizeBytes} bytes for DMA at 0x${iova.toString(16)}`;
    ioctl(this.fd, Vfio.IOMMU_MAP_DMA, request, what);
  }

  /** `struct vfio_iommu_type1_dma_unmap`: u32 argsz, flags, u64 iova, size. Returns bytes unmapped. Throws SystemError. */
  unmap(iova: number | bigint, sizeBytes: number | bigint): number {
    const request = new DataView(new ArrayBuffer(24));
    request.setUint32(0, 24, true);
    request.setBigUint64(8, BigInt(iova), true);
    request.setBigUint64(16, BigInt(sizeBytes), true);
    const what = `${CONTAINER}: unmap ${sizeBytes} bytes at 0x${iova.toString(16)}`;
    ioctl(this.fd, Vfio.IOMMU_UNMAP_DMA, request, what);
    return Number(request.getBigUint64(16, true));
  }

  [Symbol.dispose](): void {
    this.fd[Symbol.dispose]();
  }
}

/** Header, u32 count, u32 reserved, then u64 first and last of each range. */
function iovaRanges(info: DataView, firstCapability: number): IovaRange[] {
  const at = findCapability(info, firstCapability, INFO_BYTES, IommuCapability.IOVA_RANGE);
  if (at === undefined) return [{ first: 0n, last: 2n ** 64n - 1n }];
  const count = info.getUint32(at + 8, true);
  return Array.from({ length: count }, (_, i) => ({
    first: info.getBigUint64(at + 16 + i * 16, true),
    last: info.getBigUint64(at + 24 + i * 16, true),
  }));
}
