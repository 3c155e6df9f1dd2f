import type { HostGate } from './gate.ts';

/** A host where nothing at all stands between devices and memory. */
export const noIommu: HostGate = {
  reason: 'no-iommu',
  rule: 'Documentation/ABI/testing/sysfs-kernel-iommu_groups',
  code: 'E_NO_IOMMU',
  check: ({ host }) =>
    host.hasIommu
      ? undefined
      : {
          what: 'this host has no IOMMU at work: no device of it is in any IOMMU group',
          remedy: 'enable VT-d, AMD-Vi or SMMU in firmware, and start the kernel without iommu=off',
        },
};
