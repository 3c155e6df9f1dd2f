/** The gates that a physical function passes before virtual ones are made of it. */

import type { Code } from '../../shared/errors.ts';
import { acsOverride } from '../gates/acs-override.ts';
import { bridgeDevice } from '../gates/bridge-device.ts';
import type { GateInput, Objection } from '../gates/gate.ts';
import type { Decision } from '../gates/gates.ts';
import { noIommu } from '../gates/no-iommu.ts';
import { noiommu } from '../gates/noiommu.ts';
import { withoutDriver } from '../gates/pf-no-driver.ts';
import { quarantined } from '../gates/quarantined.ts';
import { wrongIds } from '../gates/wrong-ids.ts';
import { wrongVendor } from '../gates/wrong-vendor.ts';

/** A virtual function that is there already. */
export interface PresentVf {
  readonly path: string;
  readonly driver: string | null;
  /** What has it, where this agent knows: the driver that it was bound for, or an incident. */
  readonly holder: string | null;
}

export interface VfGateInput extends GateInput {
  readonly vfs: readonly PresentVf[];
}

interface VfGate {
  readonly reason: string;
  readonly rule: string;
  readonly code: Code;
  check(input: VfGateInput): Objection | undefined;
}

const isVirtual: VfGate = {
  reason: 'virtual-function',
  rule: 'PCIe 9.1: a virtual function has none of its own',
  code: 'E_VIRTUAL_FUNCTION',
  check: ({ device: { physicalFunction } }) =>
    physicalFunction === null
      ? undefined
      : {
          what: `it is itself a virtual function of ${physicalFunction}`,
          remedy: `name the physical function ${physicalFunction}`,
        },
};

const noSriov: VfGate = {
  reason: 'no-sriov',
  rule: 'PCIe 9.3.3: the SR-IOV extended capability; Documentation/ABI/testing/sysfs-bus-pci: sriov_*',
  code: 'E_NO_SRIOV',
  check({ device: { sriov } }) {
    if (sriov === null || sriov.totalVfs === 0)
      return {
        what: 'it cannot have virtual functions: there is no SR-IOV, or none is left by firmware',
        remedy: 'name a device with SR-IOV, or enable it in firmware',
      };
    if (sriov.totalVfs !== null && sriov.numVfs !== null && sriov.autoprobe !== null)
      return undefined;
    return {
      what: 'what the kernel says of its virtual functions cannot be read',
      remedy: 'take a kernel with sriov_totalvfs, sriov_numvfs and sriov_drivers_autoprobe',
    };
  },
};

const noDriver: VfGate = {
  reason: 'physical-function-driver',
  rule: 'drivers/pci/pci-sysfs.c, sriov_numvfs_store(): the driver switches them on',
  code: 'E_PF_NO_DRIVER',
  check: ({ device }) => withoutDriver(device.path, device.binding.driver),
};

/** New ones are made through none: whoever has one that is there would lose it. */
const inUse: VfGate = {
  reason: 'virtual-function-in-use',
  rule: 'a virtual function whose loss somebody would notice is not removed',
  code: 'E_VF_IN_USE',
  check({ vfs }) {
    const used = vfs.filter(({ driver, holder }) => driver !== null || holder !== null);
    const [first] = used;
    if (first === undefined) return undefined;
    const more = used.length === 1 ? '' : `, and ${used.length - 1} more`;
    return {
      what: `its virtual function ${first.path} is in use: ${first.holder ?? `driver ${first.driver}`}${more}`,
      remedy: `release ${first.path}, or unbind its driver`,
    };
  },
};

export const VF_GATES: readonly VfGate[] = [
  quarantined,
  bridgeDevice,
  wrongIds,
  wrongVendor,
  isVirtual,
  noSriov,
  noDriver,
  noIommu,
  noiommu,
  acsOverride,
  inUse,
];

export function askVfGates(input: VfGateInput): Decision[] {
  return VF_GATES.map((gate) => ({ gate, objection: gate.check(input) }));
}
