/** Where a whole repository is to be put: nothing may be there yet. */

import { readdir } from 'node:fs/promises';
import { IronError } from '../../shared/errors.ts';
import { isErrno } from '../../shared/node/errno.ts';

/** `E_EXISTS` unless `home` is absent or an empty folder. */
export async function demandEmpty(home: string, act: 'restore' | 'import'): Promise<void> {
  try {
    if ((await readdir(home)).length === 0) return;
  } catch (error) {
    if (isErrno(error) && error.code === 'ENOENT') return;
    if (!isErrno(error) || error.code !== 'ENOTDIR') throw error;
  }
  throw new IronError('E_EXISTS', `${home} is not an empty folder`, {
    hint: `nothing was changed; ${act} into a new folder, and move that where it belongs`,
    context: { path: home },
  });
}
