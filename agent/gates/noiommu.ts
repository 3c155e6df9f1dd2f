import { NOIOMMU_GROUP } from '../host/group.ts';
import type { Gate } from './gate.ts';

/** A mode of VFIO that has everything but the confinement. */
export const noiommu: Gate = {
  reason: 'noiommu',
  rule: 'drivers/vfio/group.c: noiommu taints the kernel',
  code: 'E_NOIOMMU_MODE',
  check({ device, host }) {
    const isFake = device.group?.name === NOIOMMU_GROUP;
    if (!isFake && host.parameters['vfio/enable_unsafe_noiommu_mode'] !== true) return undefined;
    return {
      what: isFake
        ? 'its group was made by VFIO without an IOMMU behind it'
        : 'the module vfio runs with enable_unsafe_noiommu_mode',
      remedy: 'load vfio with enable_unsafe_noiommu_mode=N, and enable the IOMMU',
    };
  },
};
