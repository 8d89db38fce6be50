/** The kernel's VFIO ioctls: _IO(';', 100 + n) in linux/vfio.h. See src/protocol/vfio.ts for shared numbers. */

export const Vfio = {
  GET_API_VERSION: 0x3b64,
  CHECK_EXTENSION: 0x3b65,
  SET_IOMMU: 0x3b66,
  GROUP_GET_STATUS: 0x3b67,
  GROUP_SET_CONTAINER: 0x3b68,
  GROUP_GET_DEVICE_FD: 0x3b6a,
  DEVICE_GET_INFO: 0x3b6b,
  DEVICE_GET_REGION_INFO: 0x3b6c,
  DEVICE_GET_IRQ_INFO: 0x3b6d,
  DEVICE_SET_IRQS: 0x3b6e,
  DEVICE_RESET: 0x3b6f,
  DEVICE_GET_PCI_HOT_RESET_INFO: 0x3b70,
  DEVICE_PCI_HOT_RESET: 0x3b71,
  DEVICE_FEATURE: 0x3b75,
  DEVICE_BIND_IOMMUFD: 0x3b76,
  DEVICE_ATTACH_IOMMUFD_PT: 0x3b77,
  IOMMU_GET_INFO: 0x3b70,
  IOMMU_MAP_DMA: 0x3b71,
  IOMMU_UNMAP_DMA: 0x3b72,
} as const;

/** The ioctls of /dev/iommu: _IO(';', 0x80 + n) in linux/iommufd.h. */
export const Iommufd = {
  DESTROY: 0x3b80,
  IOAS_ALLOC: 0x3b81,
  IOAS_IOVA_RANGES: 0x3b84,
  IOAS_MAP: 0x3b85,
  IOAS_UNMAP: 0x3b86,
} as const;
/** Flags of IOAS_MAP: at the given IOVA, for the device to write, and to read. */
export const IoasMap = { FIXED_IOVA: 1, WRITEABLE: 2, READABLE: 4 } as const;

export const API_VERSION = 0;
/** VFIO_TYPE1v2_IOMMU */
export const TYPE1V2 = 3;
/** VFIO_NOIOMMU_IOMMU */
export const NOIOMMU = 8;
export const GroupFlag = { VIABLE: 1 } as const;
/** Capabilities of VFIO_IOMMU_GET_INFO. */
export const IommuCapability = { IOVA_RANGE: 1, DMA_AVAILABLE: 3 } as const;
/** Flags of DEVICE_FEATURE: what is done with a feature, whose number is in the low 16 bits. */
export const DeviceFeature = { SET: 1 << 17, PCI_VF_TOKEN: 0 } as const;
/** Flags of DEVICE_BIND_IOMMUFD: a token follows, from Linux 6.17 on. */
export const BindFlag = { TOKEN: 1 } as const;
