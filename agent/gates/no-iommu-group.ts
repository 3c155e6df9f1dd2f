import type { Gate } from './gate.ts';

/** Without an IOMMU in the way a device reaches all of memory, whatever it was granted. */
export const noIommuGroup: Gate = {
  reason: 'no-iommu-group',
  rule: 'Documentation/driver-api/vfio.rst: the group is the unit of isolation',
  code: 'E_NO_IOMMU_GROUP',
  check: ({ device }) =>
    device.group !== null
      ? undefined
      : {
          what: 'it is in no IOMMU group: nothing confines its DMA',
          remedy: 'enable the IOMMU in firmware and kernel (intel_iommu=on, or AMD-Vi)',
        },
};
