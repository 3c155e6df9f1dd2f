/** Whether the kernel is locked down: kept from what would let root change it (kernel_lockdown(7)). */

import type { Sysfs } from './sysfs.ts';

/** `absent`: a kernel that has no lockdown. Null when that cannot be told. */
export type Lockdown = 'none' | 'integrity' | 'confidentiality' | 'absent' | null;

const LEVELS = ['none', 'integrity', 'confidentiality'] as const;

/** security/lockdown/lockdown.c, lockdown_read(): all levels, and brackets around the one in force. */
export async function readLockdown(sysfs: Sysfs): Promise<Lockdown> {
  const text = await sysfs.text('kernel/security/lockdown');
  if (text !== undefined) {
    const chosen = [...text.matchAll(/\[([a-z]+)\]/g)].map(([, word]) => word);
    const level = LEVELS.find((one) => one === chosen[0]);
    return chosen.length === 1 && level !== undefined ? level : null;
  }
  // Without that file there is none, where the folder is the kernel's and not an empty place for it.
  const modules = await sysfs.text('kernel/security/lsm');
  return modules === undefined || modules.split(',').includes('lockdown') ? null : 'absent';
}
