/** The kernel's iommufd: Documentation/userspace-api/iommufd.rst and linux/iommufd.h. */
import { ptr } from "bun:ffi";
import { type Fd, ioctl } from "../../os/fd.ts";
import type { Mapping } from "../../os/memory.ts";
import { IovaAllocator, type IovaRange } from "../iova.ts";
import { MAX_IOVA_RANGES } from "../limits.ts";
import { IoasMap, Iommufd } from "./abi.ts";
import { openNode } from "./node.ts";
import type { DmaSpace } from "./space.ts";

/** The node of iommufd. */
export const IOMMUFD = "/dev/iommu";
/** `struct iommu_iova_range`: u64 first and last address. */
const RANGE_BYTES = 16;

const advice: Readonly<Record<string, string>> = {
  ENOENT:
    "in a container, pass it in; otherwise this kernel has no iommufd, or it is not loaded: modprobe iommufd",
  ENODEV: "iommufd is not loaded: modprobe iommufd",
  EACCES: `this user may not open it: run as root, or chmod 0666 ${IOMMUFD} (the devices have permissions of their own)`,
};

/** The descriptor that all devices of this process are bound to: the kernel resets a bus only if one descriptor has all of it. */
class Context {
  readonly fd: Fd;
  /** By IOMMU group: its devices share an address space, because the hardware can't tell them apart. */
  readonly spaces = new Map<number, Ioas>();

  constructor(spec: string) {
    this.fd = openNode(IOMMUFD, spec, (code) => advice[code] ?? "iommufd can't be used");
  }
}

let open: Context | undefined;

/** Allocates the address space of a group's devices, or adds a user to it. Throws DeviceError, SystemError. */
export function openIoas(group: number, spec: string): Ioas {
  open ??= new Context(spec);
  const context = open;
  try {
    const ioas = context.spaces.get(group) ?? new Ioas(context, group);
    context.spaces.set(group, ioas);
    ioas.users++;
    return ioas;
  } catch (error) {
    closeUnused(context);
    throw error;
  }
}

function closeUnused(context: Context): void {
  if (context.spaces.size > 0) return;
  open = undefined;
  context.fd[Symbol.dispose]();
}

/** An I/O address space. Dispose removes one user; the last one frees it. */
export class Ioas implements DmaSpace, Disposable {
  readonly id: number;
  users = 0;
  readonly #context: Context;
  readonly #group: number;
  #addresses: IovaAllocator | undefined;

  /** `struct iommu_ioas_alloc`: u32 size, flags, id. Throws SystemError. */
  constructor(context: Context, group: number) {
    this.#context = context;
    this.#group = group;
    const request = new DataView(new ArrayBuffer(12));
    request.setUint32(0, 12, true);
    ioctl(context.fd, Iommufd.IOAS_ALLOC, request, `${IOMMUFD}: allocate an address space`);
    this.id = request.getUint32(8, true);
  }

  /** The number of the descriptor that devices are bound to. */
  get fdNumber(): number {
    return this.#context.fd.number;
  }

  /** Known once a device is attached: it narrows the ranges. */
  get addresses(): IovaAllocator {
    this.#addresses ??= new IovaAllocator(this.ranges());
    return this.#addresses;
  }

  /** `struct iommu_ioas_iova_ranges`: u32 size, id, count, reserved, u64 address of the ranges, u64 alignment. */
  ranges(): readonly IovaRange[] {
    const ranges = new DataView(new ArrayBuffer(MAX_IOVA_RANGES * RANGE_BYTES));
    const request = new DataView(new ArrayBuffer(32));
    request.setUint32(0, 32, true);
    request.setUint32(4, this.id, true);
    request.setUint32(8, MAX_IOVA_RANGES, true);
    request.setBigUint64(16, BigInt(ptr(ranges)), true);
    ioctl(
      this.#context.fd,
      Iommufd.IOAS_IOVA_RANGES,
      request,
      `${IOMMUFD}: read which addresses can be mapped`,
    );
    return Array.from({ length: Math.min(request.getUint32(8, true), MAX_IOVA_RANGES) }, (_, i) => ({
      first: ranges.getBigUint64(i * RANGE_BYTES, true),
      last: ranges.getBigUint64(i * RANGE_BYTES + 8, true),
    }));
  }

  /** `struct iommu_ioas_map`: u32 size, flags, id, reserved, u64 address, length, IOVA. */
  map(mapping: Mapping, iova: number | bigint): void {
    const request = new DataView(new ArrayBuffer(40));
    request.setUint32(0, 40, true);
    request.setUint32(4, IoasMap.FIXED_IOVA | IoasMap.WRITEABLE | IoasMap.READABLE, true);
    request.setUint32(8, this.id, true);
    request.setBigUint64(16, BigInt(mapping.address), true);
    request.setBigUint64(24, BigInt(mapping.sizeBytes), true);
    request.setBigUint64(32, BigInt(iova), true);
    const what = `${IOMMUFD}: map ${mapping.sizeBytes} bytes for DMA at 0x${iova.toString(16)}`;
    ioctl(this.#context.fd, Iommufd.IOAS_MAP, request, what);
  }

  /** `struct iommu_ioas_unmap`: u32 size, id, u64 IOVA, length. Returns bytes unmapped. */
  unmap(iova: number | bigint, sizeBytes: number | bigint): number {
    const request = new DataView(new ArrayBuffer(24));
    request.setUint32(0, 24, true);
    request.setUint32(4, this.id, true);
    request.setBigUint64(8, BigInt(iova), true);
    request.setBigUint64(16, BigInt(sizeBytes), true);
    ioctl(
      this.#context.fd,
      Iommufd.IOAS_UNMAP,
      request,
      `${IOMMUFD}: unmap ${sizeBytes} bytes at 0x${iova.toString(16)}`,
    );
    return Number(request.getBigUint64(16, true));
  }

  whyNot(code: string): string {
    return code === "EEXIST" ? "these addresses are mapped already" : "the IOMMU can't map it";
  }

  /** `struct iommu_destroy`: u32 size, id. */
  [Symbol.dispose](): void {
    if (--this.users > 0) return;
    this.#context.spaces.delete(this.#group);
    const request = new DataView(new ArrayBuffer(8));
    request.setUint32(0, 8, true);
    request.setUint32(4, this.id, true);
    try {
      ioctl(this.#context.fd, Iommufd.DESTROY, request, `${IOMMUFD}: free an address space`);
    } finally {
      closeUnused(this.#context);
    }
  }
}
