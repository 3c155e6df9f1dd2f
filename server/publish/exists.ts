/** Whether a name is taken. */

import { lstat } from 'node:fs/promises';
import { isErrno } from '../../shared/node/errno.ts';

/** Whether anything has this name, a link that leads nowhere too. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isErrno(error) && error.code === 'ENOENT') return false;
    throw error;
  }
}
