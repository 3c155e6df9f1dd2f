import { coversDevice, formatHardwareId } from '../../shared/tuf/hardware-id.ts';
import type { Gate } from './gate.ts';

/** Whatever its ceiling says, a vendor gets only the hardware that the operators gave it. */
export const wrongVendor: Gate = {
  reason: 'wrong-vendor',
  rule: 'targets, x-ironport: hardware_ids',
  code: 'E_NOT_AUTHORISED',
  check({ device, driver }) {
    if (driver === undefined) return undefined;
    if (driver.hardwareIds.some((id) => coversDevice(id, device))) return undefined;
    const given = driver.hardwareIds.map(formatHardwareId).join(', ') || 'no hardware at all';
    return {
      what: `the operators gave the vendor of ${driver.artifact.path} ${given}`,
      remedy: 'the operators bind vendors to hardware ids when they admit them',
    };
  },
};
