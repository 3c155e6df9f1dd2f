/**
 * Devices that translate addresses by themselves (ATS), ask for pages (PRI) or speak for several
 * address spaces (PASID): what they send past the IOMMU's table is not checked by it. The kernel may
 * turn these on when a device is attached, so that configuration space is read again then.
 */

import { IronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { enabledTranslation } from './config.ts';
import type { Sysfs } from './sysfs.ts';

/**
 * `E_DEVICE_TRANSLATES` when one of them is on that the fleet policy does not trust this device with, or
 * when that cannot be told. Returns what is on and trusted.
 */
export async function requireNoTranslation(
  sysfs: Sysfs,
  bdf: string,
  trusted: readonly string[] = [],
): Promise<readonly string[]> {
  const folder = await sysfs.deviceFolder(bdf);
  const config = (await sysfs.bytes(`${folder}/config`, AGENT_LIMITS.config)) ?? new Uint8Array();
  // PCI 3.0, 6.1: a function has 256 bytes, of which only the privileged see more than the first 64.
  const enabled =
    config.length < 256 ? ['what nobody can see in its configuration'] : enabledTranslation(config);
  if (enabled.every((what) => trusted.includes(what))) return enabled;
  throw new IronError('E_DEVICE_TRANSLATES', `${bdf} has ${enabled.join(', ')} enabled`, {
    why: 'addresses that a device translated by itself pass the IOMMU unchecked',
    hint: 'turn it off for this device or host (kernel option pci=noats), or let the operators of the fleet trust such devices with it (`translation` of the fleet policy)',
    context: { reason: 'device-translates', device: bdf, enabled: enabled.join(', ') },
  });
}
