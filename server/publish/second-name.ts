/** Gives a file of ours one name more, which costs nothing however large it is. */

import { copyFile, link, open, rename } from 'node:fs/promises';
import { isErrno } from '../../shared/node/errno.ts';

/**
 * Lets `place` be the file at `from`. A file has as many names as its file system allows (65000 on
 * ext4, and small files that many targets share come there): then a copy is put there, made whole
 * at `scratch`, which is on the same file system and may be lost. `EEXIST` when `place` is taken.
 */
export async function addName(from: string, place: string, scratch: string): Promise<void> {
  try {
    await link(from, place);
  } catch (error) {
    if (!isErrno(error) || error.code !== 'EMLINK') throw error;
    await copyFile(from, scratch);
    const copy = await open(scratch, 'r');
    try {
      await copy.sync();
    } finally {
      await copy.close();
    }
    // Nobody else writes here, and a taken place would have been EEXIST above.
    await rename(scratch, place);
  }
}
