/**
 * Whether a device answers at all. Reads that nobody answers are all ones (PCI 3.0, 6.1). What is looked at
 * is revision, class, header type and BIST: no header that there is has the type 0x7f (PCI 3.0, 6.2.1).
 */

import { AGENT_LIMITS } from '../../shared/limits.ts';
import { isErrno } from '../../shared/node/errno.ts';
import type { Sysfs } from '../host/sysfs.ts';
import type { VfioDevice } from '../host/vfio-device.ts';

/** Revision ID to BIST. */
const REVISION = 0x08;
const UP_TO_BIST = 8;

/**
 * Asked through VFIO. Not the ids: vfio-pci answers for those itself, for every function
 * (drivers/vfio/pci/vfio_pci_config.c, init_pci_cap_basic_perm(), ALL_VIRT), so that they stay as they were
 * for ever.
 */
export function isAnswering(vfio: Pick<VfioDevice, 'readConfig'>): boolean {
  try {
    return !isOnes(vfio.readConfig(REVISION, UP_TO_BIST));
  } catch (error) {
    // include/linux/pci.h, pcibios_err_to_errno(): nobody answers, where the host bridge says so.
    if (isErrno(error) && error.code === 'ENODEV') return false;
    throw error;
  }
}

/**
 * Asked through sysfs, of a device that nobody holds. One that is not there is not unanswering: there is
 * nothing to be removed. `E_IO` and the like when it cannot be told.
 */
export async function isUnanswering(sysfs: Sysfs, device: string): Promise<boolean> {
  if (!(await sysfs.names('bus/pci/devices')).includes(device)) return false;
  const folder = await sysfs.deviceFolder(device);
  const bytes = await sysfs.bytes(`${folder}/config`, AGENT_LIMITS.config);
  const asked = bytes?.subarray(REVISION, REVISION + UP_TO_BIST) ?? new Uint8Array();
  return asked.length === UP_TO_BIST && isOnes(asked);
}

function isOnes(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0xff);
}
