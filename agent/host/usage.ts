/**
 * Signs that somebody uses a device, as far as the tree below it shows: file systems and swap on
 * its disks, other block devices built on them, network interfaces that are up or part of another.
 */

import { basename, join } from 'node:path';
import { IronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { isBdf } from './bdf.ts';
import type { InUse } from './in-use.ts';
import { memberType } from './signatures.ts';
import type { Sysfs } from './sysfs.ts';

export type UseKind =
  | 'mounted'
  | 'swap'
  | 'holders'
  | 'signature'
  | 'pool'
  | 'net-up'
  | 'net-member';

export interface DeviceUse {
  readonly kind: UseKind;
  /** The block device or interface: `nvme0n1p1`, `eth0`. */
  readonly name: string;
}

const IFF_UP = 1; // include/uapi/linux/if.h

/** What is in use below the device's folder. */
export async function findUses(sysfs: Sysfs, folder: string, inUse: InUse): Promise<DeviceUse[]> {
  const uses: DeviceUse[] = [];
  for (const [path, names] of await foldersBelow(sysfs, folder)) {
    const parent = basename(path.slice(0, path.lastIndexOf('/')));
    if (parent === 'net' && names.includes('flags')) {
      uses.push(...(await usesOfInterface(sysfs, path, names)));
    } else if (names.includes('holders')) {
      uses.push(...(await usesOfDisk(sysfs, path, inUse)));
    }
  }
  return uses;
}

async function usesOfDisk(
  sysfs: Sysfs,
  path: string,
  { mounted, members, swap, hasPools, udev }: InUse,
): Promise<DeviceUse[]> {
  const name = basename(path);
  const uses: DeviceUse[] = [];
  const number = (await sysfs.text(`${path}/dev`))?.trim();
  if ((number !== undefined && mounted.has(number)) || members.has(name))
    uses.push({ kind: 'mounted', name });
  if (swap.has(name)) uses.push({ kind: 'swap', name });
  // device mapper, md and bcache show up here; ZFS does not, nor anywhere else.
  if ((await sysfs.names(`${path}/holders`)).length > 0) uses.push({ kind: 'holders', name });
  // What would be put together from it is not there yet, and its disk is not free.
  const isMember =
    udev !== undefined && number !== undefined && (await memberType(udev, number)) !== undefined;
  if (isMember) uses.push({ kind: 'signature', name });
  if (hasPools) uses.push({ kind: 'pool', name });
  return uses;
}

async function usesOfInterface(
  sysfs: Sysfs,
  path: string,
  names: readonly string[],
): Promise<DeviceUse[]> {
  const name = basename(path);
  const flags = /^0x([0-9a-f]{1,8})\n?$/.exec((await sysfs.text(`${path}/flags`)) ?? '')?.[1];
  return [
    // A text that is no number is no proof of being down.
    ...(flags === undefined || (Number.parseInt(flags, 16) & IFF_UP) !== 0
      ? [{ kind: 'net-up' as const, name }]
      : []),
    ...(names.includes('master') ? [{ kind: 'net-member' as const, name }] : []),
  ];
}

/**
 * Every real folder below with the names in it, without the folders of other PCI functions: those are
 * not this device.
 */
async function foldersBelow(sysfs: Sysfs, folder: string): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  const pending = [folder];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const entries = await sysfs.entries(path);
    const names = entries.map(({ name }) => name);
    if (path !== folder) found.set(path, names);
    for (const entry of entries) {
      if (!entry.isDirectory() || isBdf(entry.name)) continue;
      const child = join(path, entry.name);
      found.set(child, []);
      pending.push(child);
      if (found.size > AGENT_LIMITS.deviceFolders) {
        throw new IronError(
          'E_TOO_LARGE',
          `more than ${AGENT_LIMITS.deviceFolders} folders below ${folder}`,
        );
      }
    }
  }
  return found;
}
