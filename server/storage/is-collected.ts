/** Whether a target's bytes were collected, by its mark in the tree (marks.ts). */

import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { isIronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { insideFolder } from '../../shared/node/folders.ts';

/** Whether the bytes at `place` of the tree were collected; `place` is no name from outside. */
export async function isCollected(folder: string, place: string): Promise<boolean> {
  const mark = tree.mark(place);
  if (mark === undefined) return false;
  try {
    // Whoever can put a link into the tree must not learn by it what lies elsewhere.
    await insideFolder(folder, mark);
    return (await lstat(join(folder, mark))).isFile();
  } catch (error) {
    const absent = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'];
    if (isErrno(error) && absent.includes(error.code)) return false;
    if (isIronError(error, 'E_NAME')) return false;
    if (isIronError(error, 'E_IO') && absent.includes(String(error.context.errno))) return false;
    throw error;
  }
}
