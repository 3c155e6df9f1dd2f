/** The gates that ask about the host alone, as checks: what they refuse, no device passes. */

import { acsOverride } from '../gates/acs-override.ts';
import type { Objection } from '../gates/gate.ts';
import { noInterruptRemapping } from '../gates/no-interrupt-remapping.ts';
import { noIommu } from '../gates/no-iommu.ts';
import { noVfioDriver } from '../gates/no-vfio-driver.ts';
import { noiommuMode } from '../gates/noiommu.ts';
import { unsafeInterrupts } from '../gates/unsafe-interrupts.ts';
import { type HostCheck, type HostFinding, ok } from './finding.ts';

export const iommu: HostCheck = ({ facts, iommus, groupTypes }) => {
  const objection = noIommu.check({ host: facts });
  if (objection === undefined)
    return ok('iommu', `${count(groupTypes.length, 'group')} of devices, by ${list(iommus)}`);
  if (iommus.length === 0) return fails('iommu', objection);
  return fails('iommu', {
    what: `${iommus.join(', ')} found, and no device held by any`,
    remedy: 'start the kernel with intel_iommu=on, and without iommu=off and amd_iommu=off',
  });
};

export const noiommu: HostCheck = ({ facts }) =>
  asked('noiommu-mode', noiommuMode(facts), 'VFIO does not run without an IOMMU');

export const isolation: HostCheck = ({ facts }) =>
  asked('acs-override', acsOverride.check({ host: facts }), 'groups are those of the hardware');

export const interruptRemapping: HostCheck = ({ facts }) => {
  const found = asked(
    'interrupt-remapping',
    noInterruptRemapping.check({ host: facts }),
    'interrupts of devices are remapped',
  );
  if (found.state !== 'ok' || facts.interruptRemapping === true) return found;
  return {
    check: 'interrupt-remapping',
    state: 'unknown',
    what: 'sysfs does not show whether interrupts are remapped; VFIO refuses devices where they are not',
    remedy: 'look for "IR-" in /proc/interrupts, or for "remapping" in the kernel log',
  };
};

export const interruptsAllowed: HostCheck = ({ facts }) =>
  asked(
    'unsafe-interrupts',
    unsafeInterrupts.check({ host: facts }),
    'no module lets devices in whose interrupts are not remapped',
  );

export const vfioDriver: HostCheck = ({ facts }) =>
  asked('vfio-driver', noVfioDriver.check({ host: facts }), 'vfio-pci is loaded');

function asked(check: string, objection: Objection | undefined, fine: string): HostFinding {
  return objection === undefined ? ok(check, fine) : fails(check, objection);
}

function fails(check: string, { what, remedy }: Objection): HostFinding {
  return { check, state: 'fails', what, remedy };
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'an IOMMU' : names.join(', ');
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
