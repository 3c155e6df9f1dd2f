/** What resetting a device takes down with it, as far as the tree shows. */

import { basename, dirname, join } from 'node:path';
import { IronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { isBdf } from './bdf.ts';
import type { Sysfs } from './sysfs.ts';

export interface ResetFacts {
  /** As the kernel names them. Null on kernels before 5.15, which do not say. */
  readonly methods: readonly string[] | null;
  /** Whether the kernel can reset this function and no other. */
  readonly alone: boolean;
  /** Every other function that a reset of its bus resets. */
  readonly set: readonly string[];
}

/** The facts about the device in `folder`. */
export async function readReset(sysfs: Sysfs, folder: string): Promise<ResetFacts> {
  const text = await sysfs.text(`${folder}/reset_method`);
  const methods = text?.split(/\s+/).filter((word) => word !== '') ?? null;
  return {
    methods,
    // drivers/pci/pci.c: `bus` and `slot` are listed only for a function that is alone on its bus.
    alone: methods === null ? (await sysfs.names(folder)).includes('reset') : methods.length > 0,
    set: await resetSet(sysfs, folder),
  };
}

/**
 * PCIe 6.6.1: a bridge that resets its secondary bus resets every function on it and below it. What
 * is on a root bus has no bridge that could.
 */
async function resetSet(sysfs: Sysfs, folder: string): Promise<string[]> {
  if (!isBdf(basename(dirname(folder)))) return [];
  const found: string[] = [];
  const pending = [dirname(folder)];
  for (let bridge = pending.pop(); bridge !== undefined; bridge = pending.pop()) {
    for (const name of (await sysfs.names(bridge)).filter(isBdf)) {
      const path = join(bridge, name);
      pending.push(path);
      if (path !== folder) found.push(name);
      if (found.length > AGENT_LIMITS.deviceFolders)
        throw new IronError(
          'E_TOO_LARGE',
          `more than ${AGENT_LIMITS.deviceFolders} functions are reset with ${basename(folder)}`,
        );
    }
  }
  return found.sort();
}
