/** Whether a name is taken. */

import { isErrno } from '../../shared/node/errno.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';

/** Whether anything has this name, a link that leads nowhere too. */
export async function exists(path: string): Promise<boolean> {
  try {
    await promptFiles.lstat(path);
    return true;
  } catch (error) {
    if (isErrno(error) && error.code === 'ENOENT') return false;
    throw error;
  }
}
