/** What is true of the whole host, and decides over every device. */

import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { onPath } from '../../shared/node/file-system.ts';
import { VFIO_DRIVER } from '../binding-state.ts';
import { NOIOMMU_GROUP } from './group.ts';
import { readInterruptRemapping } from './interrupt-remapping.ts';
import { parseKernelOptions } from './kernel-options.ts';
import type { Sysfs } from './sysfs.ts';
import type { InUse } from './usage.ts';

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
    kernelOptions: parseKernelOptions(await readText(`${proc}/cmdline`)),
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

/** Mounts and swap of this host. `E_IO` when /proc does not say: unknown is not unused. */
export async function readInUse(proc = '/proc'): Promise<InUse> {
  const mounts = await readText(`${proc}/self/mountinfo`);
  const swaps = await readText(`${proc}/swaps`);
  return {
    // proc_pid_mountinfo(5): the third field is major:minor
    mounted: new Set(mounts.split('\n').map((line) => line.split(' ')[2] ?? '')),
    // proc_swaps(5): a heading, then the file name first
    swap: new Set(
      swaps
        .split('\n')
        .slice(1)
        .map((line) => basename(line.split(/\s/)[0] ?? '')),
    ),
  };
}

/** Changes with every start of the kernel: what happened before it says nothing about now. */
export async function readBootId(proc = '/proc'): Promise<string> {
  return (await readText(`${proc}/sys/kernel/random/boot_id`)).trim();
}

// Files of /proc have no size, so that a reader with a cap by size cannot be used on them.
function readText(path: string): Promise<string> {
  return onPath(path, () => readFile(path, 'utf8'));
}
