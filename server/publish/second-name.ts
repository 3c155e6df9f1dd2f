/** Gives a file of ours one name more, which costs nothing however large it is. */

import { randomBytes } from 'node:crypto';
import { copyFile, open, rename, rm } from 'node:fs/promises';
import { isErrno } from '../../shared/node/errno.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';

/**
 * Lets `place` be the file at `from`. A file has as many names as its file system allows (65000 on
 * ext4, and small files that many targets share come there): then a copy is put there, made whole
 * at a name that begins with `scratch`, on the same file system. `EEXIST` when `place` is taken.
 */
export async function addName(from: string, place: string, scratch: string): Promise<void> {
  try {
    await promptFiles.link(from, place);
  } catch (error) {
    if (!isErrno(error) || error.code !== 'EMLINK') throw error;
    const copy = `${scratch}.${randomBytes(8).toString('hex')}`;
    try {
      await copyFile(from, copy);
      const file = await open(copy, 'r');
      try {
        await file.sync();
      } finally {
        await file.close();
      }
      // Nobody else writes here, and a taken place would have been EEXIST above.
      await rename(copy, place);
    } catch (failure) {
      // After a crash it stays in the staging folder, where the next start removes it.
      await rm(copy, { force: true });
      throw failure;
    }
  }
}
