import { quoted } from '../../shared/tuf/names.ts';
import { optionNamed } from '../host/kernel-options.ts';
import type { HostGate } from './gate.ts';

/**
 * A patched kernel can be told to believe that devices are kept apart which are not. The groups that
 * it then shows are wishes, and every rule about them is void.
 */
export const acsOverride: HostGate = {
  reason: 'acs-override',
  rule: 'PCIe 6.12, access control services; the option pcie_acs_override of patched kernels',
  code: 'E_ACS_OVERRIDE',
  check({ host }) {
    const option = optionNamed(host.kernelOptions, 'pcie_acs_override');
    if (option === undefined) return undefined;
    return {
      what: `the kernel was started with ${quoted(option)}: its IOMMU groups are not those of the hardware`,
      remedy: 'start the kernel without it, and use a slot whose bridge isolates (ACS)',
    };
  },
};
