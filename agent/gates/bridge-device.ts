import type { Gate } from './gate.ts';

const BRIDGES = 0x06;

/** A bridge carries the traffic of everything below it. */
export const bridgeDevice: Gate = {
  reason: 'bridge-device',
  rule: 'PCI Code and ID Assignment, base class 06h; PCI 3.0 6.2.1, header type',
  code: 'E_BRIDGE',
  check({ device: { class: kind, headerType } }) {
    if (kind >> 16 !== BRIDGES && headerType === 0) return undefined;
    if (headerType === null)
      return {
        what: 'whether it is a bridge cannot be told: its configuration space cannot be read',
        remedy: 'see that its `config` in sysfs can be read, and that the device answers',
      };
    return {
      what: 'it is a bridge: whoever drives it has every device behind it',
      remedy: 'name the device behind the bridge',
    };
  },
};
