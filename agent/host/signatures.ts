/**
 * What udev saw on a block device when it came: the signature of an array or a pool of which it is a
 * part, also while that is not assembled, and nothing in sysfs or /proc says so. Its database is read
 * and not the disk: opening disks is no right of the agent's.
 */

import { join } from 'node:path';
import { isIronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';

/** udev's database, of the running kernel's devices (src/libsystemd/sd-device). */
export const UDEV_DATA = '/run/udev/data';

/** Members by another name than that; libblkid, superblocks. */
const OTHERS = ['bcache', 'ceph_bluestore'];

/**
 * The type of the signature that makes the block device `number` (`major:minor`) a part of something
 * larger: `LVM2_member`, `linux_raid_member`, `zfs_member`. Undefined for all others, and where there is no
 * udev. `E_IO` when its record is there and cannot be read.
 */
export async function memberType(folder: string, number: string): Promise<string | undefined> {
  if (!/^[0-9]{1,10}:[0-9]{1,10}$/.test(number)) return undefined;
  let text: string;
  try {
    const bytes = await readFileCapped(join(folder, `b${number}`), AGENT_LIMITS.attribute);
    text = Buffer.from(bytes).toString('latin1');
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  }
  const noted = (name: string): string => new RegExp(`^E:${name}=(.*)$`, 'm').exec(text)?.[1] ?? '';
  const type = noted('ID_FS_TYPE');
  const isMember =
    noted('ID_FS_USAGE') === 'raid' || type.endsWith('_member') || OTHERS.includes(type);
  return isMember ? type : undefined;
}
