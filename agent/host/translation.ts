/**
 * Devices that translate addresses by themselves (ATS), ask for pages (PRI) or speak for several
 * address spaces (PASID): what they send past the IOMMU's table is not checked by it. The kernel may
 * turn these on when a device is attached, so that configuration space is read again then.
 */

import { IronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { enabledTranslation } from './config.ts';
import type { Sysfs } from './sysfs.ts';

/** `E_AGENT_REFUSED` when one of them is on, or when that cannot be told. */
export async function requireNoTranslation(sysfs: Sysfs, bdf: string): Promise<void> {
  const folder = await sysfs.deviceFolder(bdf);
  const config = (await sysfs.bytes(`${folder}/config`, AGENT_LIMITS.config)) ?? new Uint8Array();
  // PCI 3.0, 6.1: a function has 256 bytes, of which only the privileged see more than the first 64.
  const enabled =
    config.length < 256 ? ['what nobody can see in its configuration'] : enabledTranslation(config);
  if (enabled.length === 0) return;
  throw new IronError('E_AGENT_REFUSED', `${bdf} has ${enabled.join(', ')} enabled`, {
    why: 'addresses that a device translated by itself pass the IOMMU unchecked',
    hint: 'turn it off for this device or host (kernel option pci=noats)',
    context: { reason: 'device-translates', device: bdf, enabled: enabled.join(', ') },
  });
}
