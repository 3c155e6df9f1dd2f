import type { Gate } from './gate.ts';

/** Domain types in which every access is translated (Documentation/ABI, iommu_groups/type). */
const TRANSLATED = ['DMA', 'DMA-FQ'];

/** Not so of a type that is unknown, or that the kernel does not say. */
export function isTranslated(type: string | null): boolean {
  return type !== null && TRANSLATED.includes(type);
}

/** A group that is passed through is confined by nothing until VFIO takes it, and again after. */
export const identityGroup: Gate = {
  reason: 'identity-group',
  rule: 'Documentation/ABI/testing/sysfs-kernel-iommu_groups: type',
  code: 'E_IDENTITY_GROUP',
  check({ device: { group } }) {
    if (group === null || isTranslated(group.type)) return undefined;
    return {
      what: `the type of its IOMMU group ${group.id} is ${group.type ?? 'unknown'}, not DMA or DMA-FQ`,
      remedy: 'start the kernel without iommu=pt, or write DMA to the type of the group',
    };
  },
};
