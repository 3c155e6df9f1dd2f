/** Removes what writers that crashed left behind: files that were never given their name. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../../shared/node/errno.ts';
import { isTemporaryName } from '../../shared/node/files.ts';

/** Call it only where nobody else is writing. A folder that cannot be swept is left as it is. */
export async function sweepTemporaries(
  folder: string,
  remove: (path: string) => Promise<void>,
): Promise<void> {
  try {
    for (const name of await readdir(folder)) {
      if (isTemporaryName(name)) await remove(join(folder, name));
    }
  } catch (error) {
    // Litter is no reason to fail: whoever writes next will hear what is wrong with the folder.
    if (!isErrno(error)) throw error;
  }
}
