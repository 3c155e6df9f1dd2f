/** QEMU's edu device, as a host finds it. */

import type { DeviceFacts } from '../../shared/manifest/device.ts';

export const eduDevice: DeviceFacts = {
  path: '0000:00:05.0',
  vendor: 0x1234,
  device: 0x11e8,
  subsystemVendor: 0x1af4,
  subsystemDevice: 0x1100,
  class: 0x00ff00,
  revision: 0x10,
  serial: null,
  bars: [{ index: 0, base: 0xfea00000n, size: 0x100000n, kind: 'memory' }],
  interrupts: { intx: true, msi: 1, msix: 0 },
  reservedIova: [{ start: 0xfee00000n, end: 0xfef00000n }],
};
