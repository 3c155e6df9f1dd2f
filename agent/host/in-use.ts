/** What of disks the processes of this host use, by mounts, swap and pools. */

import { readdir, realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { isErrno } from '../../shared/node/errno.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readProc } from './proc.ts';
import { UDEV_DATA } from './signatures.ts';
import type { Sysfs } from './sysfs.ts';

export interface InUse {
  /** `major:minor` of every mounted block device. */
  readonly mounted: ReadonlySet<string>;
  /** Names of block devices that are mounted where the number of the mount is no disk's. */
  readonly members: ReadonlySet<string>;
  /** Names of block devices with swap on them. */
  readonly swap: ReadonlySet<string>;
  /** Whether there is a pool of ZFS: of which disks it is made, the kernel does not show. */
  readonly hasPools: boolean;
  /** Where udev keeps what it saw on block devices; undefined where the tree is not the kernel's. */
  readonly udev: string | undefined;
}

/**
 * `E_IO` when /proc does not say: unknown is not unused. `udev` is its database, which knows the devices of
 * the running kernel and of no recorded tree.
 */
export async function readInUse(sysfs: Sysfs, proc = '/proc', udev?: string): Promise<InUse> {
  const mounts = parseMounts(await readProc(`${proc}/self/mountinfo`));
  const swaps = (await readProc(`${proc}/swaps`)).split('\n').slice(1);
  const members = new Set(await btrfsMembers(sysfs));
  for (const { source } of mounts) for (const name of await disksOf(source)) members.add(name);
  return {
    mounted: new Set(mounts.map(({ number }) => number)),
    members,
    // proc_swaps(5): a heading, then the file name first
    swap: new Set(swaps.map((line) => basename(line.split(/\s/)[0] ?? ''))),
    hasPools: mounts.some(({ type }) => type === 'zfs') || (await importedPools(proc)),
    udev: udev ?? ((await sysfs.isKernels()) ? UDEV_DATA : undefined),
  };
}

interface Mount {
  readonly number: string;
  readonly type: string;
  readonly source: string;
}

/** proc_pid_mountinfo(5): six fields, optional ones up to a dash, then type and source. */
function parseMounts(text: string): Mount[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const fields = line.split(' ');
      const dash = fields.indexOf('-', 6);
      const [type = '', source = ''] = dash < 0 ? [] : fields.slice(dash + 1);
      return { number: fields[2] ?? '', type, source: unescaped(source) };
    });
}

/** Space, tab, the line's end and the backslash are written as three octal digits. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/**
 * btrfs names one of its disks as the source, bcachefs all of them with colons between, and either
 * by any of its names.
 */
async function disksOf(source: string): Promise<string[]> {
  const names: string[] = [];
  for (const path of source.split(':').filter((part) => part.startsWith('/'))) {
    names.push(basename(path));
    // A name that leads nowhere is all that is known then.
    const real = await realpath(path).catch(() => path);
    names.push(basename(real));
  }
  return names;
}

/** fs/btrfs/sysfs.c: a folder for each file system that is mounted, with a link for each of its disks. */
async function btrfsMembers(sysfs: Sysfs): Promise<string[]> {
  const found: string[] = [];
  for (const id of await sysfs.names('fs/btrfs'))
    found.push(...(await sysfs.names(`fs/btrfs/${id}/devices`)));
  return found;
}

/** module/os/linux/spl: a folder for each pool, besides files. */
async function importedPools(proc: string): Promise<boolean> {
  const place = `${proc}/spl/kstat/zfs`;
  try {
    const entries = await readdir(place, { withFileTypes: true });
    return entries.some((entry) => entry.isDirectory());
  } catch (error) {
    if (isErrno(error) && error.code === 'ENOENT') return false;
    return await onPath(place, () => Promise.reject(error));
  }
}
