import { NOIOMMU_GROUP } from '../host/group.ts';
import type { HostFacts } from '../host/host-facts.ts';
import type { Gate, Objection } from './gate.ts';

const REMEDY = 'load vfio with enable_unsafe_noiommu_mode=N, and enable the IOMMU';

/** A mode of VFIO that has everything but the confinement. */
export const noiommu: Gate = {
  reason: 'noiommu',
  rule: 'drivers/vfio/group.c: noiommu taints the kernel',
  code: 'E_NOIOMMU_MODE',
  check({ device, host }) {
    if (device.group?.name !== NOIOMMU_GROUP) return noiommuMode(host);
    return { what: 'its group was made by VFIO without an IOMMU behind it', remedy: REMEDY };
  },
};

/** What there is to say against every device of this host. */
export function noiommuMode(host: HostFacts): Objection | undefined {
  if (host.parameters['vfio/enable_unsafe_noiommu_mode'] !== true) return undefined;
  return { what: 'the module vfio runs with enable_unsafe_noiommu_mode', remedy: REMEDY };
}
