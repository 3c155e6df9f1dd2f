import { matchesDevice, showIdentity } from '../../shared/manifest/device.ts';
import type { Gate } from './gate.ts';

/** A driver is for the devices that its vendor named, and for no other. */
export const wrongIds: Gate = {
  reason: 'wrong-ids',
  rule: 'resource ceiling v1: devices',
  code: 'E_WRONG_DEVICE',
  check({ device, driver }) {
    if (driver === undefined) return undefined;
    if (driver.ceiling.devices.some((match) => matchesDevice(match, device))) return undefined;
    return {
      what: `${driver.artifact.path} is not for ${showIdentity(device)}`,
      remedy: 'name a device that the ceiling lists, or another driver',
    };
  },
};
