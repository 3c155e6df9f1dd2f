/** Control groups that an agent that died left below the one that is delegated to it. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { asIronError, type IronError } from '../../shared/errors.ts';
import { fromErrno, isErrno } from '../../shared/node/errno.ts';
import { isBdf } from './bdf.ts';
import { endGroup } from './cgroup.ts';

/** Whose processes a group has. */
export type GroupOf = 'driver' | 'broker';

export interface LeftGroup {
  readonly device: string;
  readonly of: GroupOf;
}

/** The name of a group below the delegated one. */
export function groupName(device: string, of: GroupOf): string {
  return `ironport-${device}-${of}`;
}

/** What `groupName` made `name` of; undefined for a group of somebody else's. */
export function groupNamed(name: string): LeftGroup | undefined {
  const [, device = '', of] = /^ironport-(.+)-(driver|broker)$/.exec(name) ?? [];
  return isBdf(device) ? { device, of: of as GroupOf } : undefined;
}

/**
 * Ends all that is in the groups of devices that are `left`, and removes them. What the kernel does not
 * let go of is told, and is in the way of no other. `E_IO` when it cannot be told what there is.
 */
export async function endGroupsIn(
  parent: string,
  isLeft: (device: string) => boolean,
): Promise<{
  readonly ended: readonly LeftGroup[];
  readonly stuck: readonly (LeftGroup & { readonly error: IronError })[];
}> {
  const left = namesIn(parent).flatMap((name) => groupNamed(name) ?? []);
  const ended: LeftGroup[] = [];
  const stuck: (LeftGroup & { error: IronError })[] = [];
  await Promise.all(
    left
      .filter(({ device }) => isLeft(device))
      .map(async (group) => {
        try {
          await endGroup(join(parent, groupName(group.device, group.of)));
          ended.push(group);
        } catch (error) {
          stuck.push({ ...group, error: asIronError(error) });
        }
      }),
  );
  return { ended, stuck };
}

function namesIn(parent: string): string[] {
  try {
    return readdirSync(parent);
  } catch (error) {
    // Nothing was ever run there.
    if (isErrno(error) && error.code === 'ENOENT') return [];
    throw isErrno(error) ? fromErrno(error, parent) : error;
  }
}

/** The processes that run for devices: drivers and brokers, by their groups below `parent`. */
export function processesIn(parent: string): readonly (LeftGroup & { readonly pid: number })[] {
  return namesIn(parent).flatMap((name) => {
    const group = groupNamed(name);
    if (group === undefined) return [];
    try {
      const pids = readFileSync(join(parent, name, 'cgroup.procs'), 'utf8').match(/^[0-9]+$/gm);
      return (pids ?? []).map((pid) => ({ ...group, pid: Number(pid) }));
    } catch (error) {
      // Removed meanwhile, with what was in it.
      if (isErrno(error)) return [];
      throw error;
    }
  });
}
