/** What is true of the whole host, and decides over every device. */

import { VFIO_DRIVER } from '../binding-state.ts';
import { NOIOMMU_GROUP } from './group.ts';
import { readInterruptRemapping } from './interrupt-remapping.ts';
import { parseKernelOptions } from './kernel-options.ts';
import { readProc } from './proc.ts';
import type { Sysfs } from './sysfs.ts';

export interface HostFacts {
  /** Parameters of modules that make VFIO unsafe; null where the module is not loaded. */
  readonly parameters: Readonly<Record<UnsafeParameter, boolean | null>>;
  /** Whether a driver called `vfio-pci` is there to bind to. */
  readonly hasVfioDriver: boolean;
  /** Whether any IOMMU holds any device of this host. */
  readonly hasIommu: boolean;
  /** Null where the tree does not show it. */
  readonly interruptRemapping: boolean | null;
  /** What the kernel was started with. */
  readonly kernelOptions: readonly string[];
}

export const UNSAFE_PARAMETERS = [
  'vfio/enable_unsafe_noiommu_mode',
  'vfio_iommu_type1/allow_unsafe_interrupts',
  'iommufd/allow_unsafe_interrupts',
] as const;
export type UnsafeParameter = (typeof UNSAFE_PARAMETERS)[number];

/** `E_IO` when /proc does not say how the kernel was started: unknown is not safe. */
export async function readHostFacts(sysfs: Sysfs, proc = '/proc'): Promise<HostFacts> {
  const parameters: Record<string, boolean | null> = {};
  for (const name of UNSAFE_PARAMETERS) {
    const [module, parameter] = name.split('/');
    const text = (await sysfs.text(`module/${module}/parameters/${parameter}`))?.trim();
    // Documentation/admin-guide/kernel-parameters: a bool reads Y or N; anything else is not safe.
    parameters[name] = text === undefined ? null : text !== 'N';
  }
  return {
    parameters: parameters as HostFacts['parameters'],
    hasVfioDriver: (await sysfs.names('bus/pci/drivers')).includes(VFIO_DRIVER),
    hasIommu: await holdsAnything(sysfs),
    interruptRemapping: await readInterruptRemapping(sysfs),
    kernelOptions: parseKernelOptions(await readProc(`${proc}/cmdline`)),
  };
}

/** Whether there is a group that an IOMMU made, and not VFIO in its place. */
async function holdsAnything(sysfs: Sysfs): Promise<boolean> {
  for (const id of await sysfs.names('kernel/iommu_groups')) {
    const name = (await sysfs.text(`kernel/iommu_groups/${id}/name`))?.trim();
    if (name !== NOIOMMU_GROUP) return true;
  }
  return false;
}

/** Changes with every start of the kernel: what happened before it says nothing about now. */
export async function readBootId(proc = '/proc'): Promise<string> {
  return (await readProc(`${proc}/sys/kernel/random/boot_id`)).trim();
}
