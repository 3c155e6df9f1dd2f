import type { HostGate } from './gate.ts';

const PARAMETERS = [
  'vfio_iommu_type1/allow_unsafe_interrupts',
  'iommufd/allow_unsafe_interrupts',
] as const;

/** Without interrupt remapping a device can raise any interrupt by a write of its own. */
export const unsafeInterrupts: HostGate = {
  reason: 'unsafe-interrupts',
  rule: 'drivers/vfio/vfio_iommu_type1.c, drivers/iommu/iommufd: allow_unsafe_interrupts',
  code: 'E_UNSAFE_INTERRUPTS',
  check({ host }) {
    const set = PARAMETERS.find((name) => host.parameters[name] === true);
    if (set === undefined) return undefined;
    return {
      what: `the module parameter ${set} lets devices without interrupt remapping in`,
      remedy: 'set it to N; enable interrupt remapping in firmware if VFIO then refuses',
    };
  },
};
