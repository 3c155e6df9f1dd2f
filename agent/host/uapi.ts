/**
 * The kernel's interface to VFIO and iommufd: the numbers of requests, their structures and flags,
 * in one table (include/uapi/linux/vfio.h, include/uapi/linux/iommufd.h, as of 6.12). Later kernels
 * have longer forms of some; every structure says its own length, so that the short form stays good.
 *
 * The same number means another thing on another descriptor: 0x3b70 asks a container about its
 * IOMMU, and a device about what a hot reset of it would reset.
 */

import { layout } from './struct.ts';

// --- iommufd, on /dev/iommu -------------------------------------------------------------------

const ioas = layout('iommu_ioas_alloc', 12, [
  ['size', 'u32', 0],
  ['flags', 'u32', 4],
  ['out_ioas_id', 'u32', 8],
]);

const destroy = layout('iommu_destroy', 8, [
  ['size', 'u32', 0],
  ['id', 'u32', 4],
]);

const iovaRanges = layout('iommu_ioas_iova_ranges', 32, [
  ['size', 'u32', 0],
  ['ioas_id', 'u32', 4],
  ['num_iovas', 'u32', 8],
  ['reserved', 'u32', 12],
  ['allowed_iovas', 'u64', 16],
  ['out_iova_alignment', 'u64', 24],
]);

const ioasMap = layout('iommu_ioas_map', 40, [
  ['size', 'u32', 0],
  ['flags', 'u32', 4],
  ['ioas_id', 'u32', 8],
  ['reserved', 'u32', 12],
  ['user_va', 'u64', 16],
  ['length', 'u64', 24],
  ['iova', 'u64', 32],
]);

const ioasUnmap = layout('iommu_ioas_unmap', 24, [
  ['size', 'u32', 0],
  ['ioas_id', 'u32', 4],
  ['iova', 'u64', 8],
  ['length', 'u64', 16],
]);

// --- VFIO, on a device ------------------------------------------------------------------------

const deviceInfo = layout('vfio_device_info', 24, [
  ['argsz', 'u32', 0],
  ['flags', 'u32', 4],
  ['num_regions', 'u32', 8],
  ['num_irqs', 'u32', 12],
  ['cap_offset', 'u32', 16],
  ['pad', 'u32', 20],
]);

const regionInfo = layout('vfio_region_info', 32, [
  ['argsz', 'u32', 0],
  ['flags', 'u32', 4],
  ['index', 'u32', 8],
  ['cap_offset', 'u32', 12],
  ['size', 'u64', 16],
  ['offset', 'u64', 24],
]);

const irqInfo = layout('vfio_irq_info', 16, [
  ['argsz', 'u32', 0],
  ['flags', 'u32', 4],
  ['index', 'u32', 8],
  ['count', 'u32', 12],
]);

/** Followed by `count` descriptors where the flags say so. */
const irqSet = layout('vfio_irq_set', 20, [
  ['argsz', 'u32', 0],
  ['flags', 'u32', 4],
  ['index', 'u32', 8],
  ['start', 'u32', 12],
  ['count', 'u32', 16],
]);

/** Followed by `count` of `hotResetDevice`. */
const hotResetInfo = layout('vfio_pci_hot_reset_info', 12, [
  ['argsz', 'u32', 0],
  ['flags', 'u32', 4],
  ['count', 'u32', 8],
]);

const hotResetDevice = layout('vfio_pci_dependent_device', 8, [
  ['group_or_device_id', 'u32', 0],
  ['segment', 'u16', 4],
  ['bus', 'u8', 6],
  ['devfn', 'u8', 7],
]);

const bindIommufd = layout('vfio_device_bind_iommufd', 16, [
  ['argsz', 'u32', 0],
  ['flags', 'u32', 4],
  ['iommufd', 'i32', 8],
  ['out_devid', 'u32', 12],
]);

const attachPt = layout('vfio_device_attach_iommufd_pt', 12, [
  ['argsz', 'u32', 0],
  ['flags', 'u32', 4],
  ['pt_id', 'u32', 8],
]);

const detachPt = layout('vfio_device_detach_iommufd_pt', 8, [
  ['argsz', 'u32', 0],
  ['flags', 'u32', 4],
]);

// --- VFIO, on a group and its container -------------------------------------------------------

const groupStatus = layout('vfio_group_status', 8, [
  ['argsz', 'u32', 0],
  ['flags', 'u32', 4],
]);

const typeInfo = layout('vfio_iommu_type1_info', 24, [
  ['argsz', 'u32', 0],
  ['flags', 'u32', 4],
  ['iova_pgsizes', 'u64', 8],
  ['cap_offset', 'u32', 16],
  ['pad', 'u32', 20],
]);

const dmaMap = layout('vfio_iommu_type1_dma_map', 32, [
  ['argsz', 'u32', 0],
  ['flags', 'u32', 4],
  ['vaddr', 'u64', 8],
  ['iova', 'u64', 16],
  ['size', 'u64', 24],
]);

const dmaUnmap = layout('vfio_iommu_type1_dma_unmap', 24, [
  ['argsz', 'u32', 0],
  ['flags', 'u32', 4],
  ['iova', 'u64', 8],
  ['size', 'u64', 16],
]);

/** Heads a link of a chain of capabilities; `next` is an offset from the structure's beginning. */
const capHeader = layout('vfio_info_cap_header', 8, [
  ['id', 'u16', 0],
  ['version', 'u16', 2],
  ['next', 'u32', 4],
]);

/** The capability that lists usable addresses: a header, then `nr_iovas` of `iovaRange`. */
const capIovaRanges = layout('vfio_iommu_type1_info_cap_iova_range', 16, [
  ['id', 'u16', 0],
  ['version', 'u16', 2],
  ['next', 'u32', 4],
  ['nr_iovas', 'u32', 8],
  ['reserved', 'u32', 12],
]);

/** A range of addresses whose end is its last address. */
const iovaRange = layout('iova_range', 16, [
  ['start', 'u64', 0],
  ['last', 'u64', 8],
]);

export const STRUCTS = {
  ioas,
  destroy,
  iovaRanges,
  ioasMap,
  ioasUnmap,
  deviceInfo,
  regionInfo,
  irqInfo,
  irqSet,
  hotResetInfo,
  hotResetDevice,
  bindIommufd,
  attachPt,
  detachPt,
  groupStatus,
  typeInfo,
  dmaMap,
  dmaUnmap,
  capHeader,
  capIovaRanges,
  iovaRange,
} as const;

/** `_IO(';', 100 + n)` for VFIO, `_IO(';', 0x80 + n)` for iommufd: no size is in the number. */
export const REQUESTS = {
  IOMMU_DESTROY: 0x3b80,
  IOMMU_IOAS_ALLOC: 0x3b81,
  IOMMU_IOAS_IOVA_RANGES: 0x3b84,
  IOMMU_IOAS_MAP: 0x3b85,
  IOMMU_IOAS_UNMAP: 0x3b86,

  VFIO_GET_API_VERSION: 0x3b64,
  VFIO_CHECK_EXTENSION: 0x3b65,
  VFIO_SET_IOMMU: 0x3b66,
  VFIO_GROUP_GET_STATUS: 0x3b67,
  VFIO_GROUP_SET_CONTAINER: 0x3b68,
  VFIO_GROUP_UNSET_CONTAINER: 0x3b69,
  VFIO_GROUP_GET_DEVICE_FD: 0x3b6a,
  VFIO_IOMMU_GET_INFO: 0x3b70,
  VFIO_IOMMU_MAP_DMA: 0x3b71,
  VFIO_IOMMU_UNMAP_DMA: 0x3b72,

  VFIO_DEVICE_GET_INFO: 0x3b6b,
  VFIO_DEVICE_GET_REGION_INFO: 0x3b6c,
  VFIO_DEVICE_GET_IRQ_INFO: 0x3b6d,
  VFIO_DEVICE_SET_IRQS: 0x3b6e,
  VFIO_DEVICE_RESET: 0x3b6f,
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: 0x3b70,
  VFIO_DEVICE_BIND_IOMMUFD: 0x3b76,
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: 0x3b77,
  VFIO_DEVICE_DETACH_IOMMUFD_PT: 0x3b78,
} as const;
export type Request = keyof typeof REQUESTS;

export const IOAS_MAP_FLAGS = { fixedIova: 1, writable: 2, readable: 4 } as const;
export const DMA_MAP_FLAGS = { read: 1, write: 2 } as const;
export const DMA_UNMAP_ALL = 2;
export const DEVICE_FLAGS = { reset: 1, pci: 2 } as const;
export const GROUP_FLAGS = { viable: 1, containerSet: 2 } as const;
export const IRQ_SET = { dataNone: 1, dataEventfd: 4, actionTrigger: 32 } as const;
export const REGION = { bar0: 0, rom: 6, config: 7 } as const;
export const IRQ = { intx: 0, msi: 1, msix: 2, error: 3, request: 4 } as const;
export const CONTAINER = { apiVersion: 0, type1v2: 3, unmapAll: 9, noiommu: 8 } as const;
/** Flags of `vfio_iommu_type1_info`: page sizes are told, and a chain of capabilities follows. */
export const TYPE_INFO = { pageSizes: 1, caps: 2, capIovaRange: 1 } as const;
