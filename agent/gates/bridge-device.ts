import type { Gate } from './gate.ts';

const BRIDGES = 0x06;

/** A bridge carries the traffic of everything below it. */
export const bridgeDevice: Gate = {
  reason: 'bridge-device',
  rule: 'PCI Code and ID Assignment, base class 06h; PCI 3.0 6.2.1, header type',
  code: 'E_BRIDGE',
  check: ({ device }) =>
    device.class >> 16 !== BRIDGES && (device.headerType ?? 0) === 0
      ? undefined
      : {
          what: 'it is a bridge: whoever drives it has every device behind it',
          remedy: 'name the device behind the bridge',
        },
};
