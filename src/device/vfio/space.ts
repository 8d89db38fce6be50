import type { Mapping } from "../../os/memory.ts";
import type { IovaAllocator, IovaRange } from "../iova.ts";

/** The addresses of memory that devices behind an IOMMU use: a group's container, or an IOAS of iommufd. */
export interface DmaSpace {
  readonly addresses: IovaAllocator;
  /** What the IOMMU maps. Throws SystemError. */
  ranges(): readonly IovaRange[];
  /** Pins the memory and maps it, for reading and writing. Throws SystemError. */
  map(mapping: Mapping, iova: number): void;
  /** Throws SystemError. */
  unmap(iova: number, sizeBytes: number): void;
  /** Why a mapping was refused, by the errno's name. */
  whyNot(code: string): string;
}
