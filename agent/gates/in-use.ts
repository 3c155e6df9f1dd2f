import type { UseKind } from '../host/usage.ts';
import type { DeviceGate } from './gate.ts';

const WORDS: Readonly<Record<UseKind, string>> = {
  mounted: 'has a file system that is mounted',
  swap: 'is swapped to',
  holders: 'is part of another block device',
  signature: 'has the signature of a member of an array or a pool (LVM, md, ZFS)',
  pool: 'may be part of a pool of ZFS, which does not show its disks',
  'net-up': 'is a network interface that is up',
  'net-member': 'is part of a bridge or bond',
};

/** Taking a device away from those who use it takes the machine down with it. */
export const inUse: DeviceGate = {
  reason: 'in-use',
  rule: 'a device whose loss somebody would notice is not taken',
  code: 'E_DEVICE_IN_USE',
  check({ device: { uses } }) {
    if (uses.length === 0) return undefined;
    return {
      what: uses.map(({ kind, name }) => `${name} ${WORDS[kind]}`).join('; '),
      remedy:
        'unmount it, take it out of the array or wipe its signature, export the pools, or set the interface down',
    };
  },
};
