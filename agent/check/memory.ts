/** Checks about memory: who translates addresses, and how much of it may be held in place. */

import { isTranslated } from '../gates/identity-group.ts';
import { type HostCheck, ok } from './finding.ts';
import type { Translating } from './view.ts';

/** Devices that are named; `why` and `list` have the rest. */
const SHOWN = 4;

export const defaultDomains: HostCheck = ({ groupTypes }) => {
  if (groupTypes.length === 0) return ok('default-domains', 'there are no groups');
  const passed = groupTypes.filter((type) => !isTranslated(type)).length;
  if (passed === 0) return ok('default-domains', 'no group is passed through');
  return {
    check: 'default-domains',
    state: passed === groupTypes.length ? 'fails' : 'note',
    what: `${passed} of ${groupTypes.length} groups are not known to be translated: their devices may reach all of memory, and are not bound`,
    remedy: 'start the kernel without iommu=pt, or write DMA to the type of a group',
  };
};

const REMEDY =
  'start the kernel with pci=noats, or name what is trusted in `translation` of the fleet policy';

export const translation: HostCheck = ({ translating, facts }) => {
  const check = 'address-translation';
  const enabled = translating.filter((one) => one.enabled.length > 0);
  const unseen = translating.filter(({ able }) => able === undefined);
  const able = translating.filter((one) => (one.able ?? []).includes('ATS'));
  if (enabled.length > 0)
    return {
      check,
      state: 'note',
      what: `what these send may pass the IOMMU unchecked, and they are not held unless the fleet policy trusts them with it: ${named(enabled)}`,
      remedy: REMEDY,
    };
  if (unseen.length > 0)
    return {
      check,
      state: 'unknown',
      what: `the configuration of ${unseen.length} devices cannot be read so far`,
      remedy: 'ask as root',
    };
  // drivers/pci/pci.c, pci_setup(): words between commas, whole.
  const isOff = facts.kernelOptions.some(
    (option) => option.startsWith('pci=') && option.slice(4).split(',').includes('noats'),
  );
  if (able.length === 0 || isOff) return ok(check, 'no device translates addresses by itself');
  return {
    check,
    state: 'note',
    what: `these can translate addresses by themselves, and should the kernel switch that on, they are refused unless the fleet policy trusts them with it: ${named(able)}`,
    remedy: REMEDY,
  };
};

function named(devices: readonly Translating[]): string {
  const shown = devices
    .slice(0, SHOWN)
    .map(({ device, able = [], enabled }) => {
      const what = enabled.length > 0 ? enabled : able;
      return `${device} (${what.join(', ')})`;
    })
    .join(', ');
  return devices.length > SHOWN ? `${shown} and ${devices.length - SHOWN} more` : shown;
}

/** A window is at least a page. */
const LEAST = 4096n;

export const memlock: HostCheck = ({ memlock: bytes }) => {
  if (bytes === undefined) return ok('memlock', 'memory that devices reach is not limited');
  return {
    check: 'memlock',
    state: bytes < LEAST ? 'fails' : 'note',
    what: `this process may hold ${bytes} bytes in place; a grant with more memory is refused`,
    remedy:
      'raise RLIMIT_MEMLOCK (LimitMEMLOCK= of the unit, `ulimit -l`), or give it CAP_IPC_LOCK',
  };
};
