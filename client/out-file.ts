/** Where a command writes what it brings: looked at before anybody is asked for it. */

import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { IronError } from '../shared/errors.ts';
import { onPath } from '../shared/node/file-system.ts';

/**
 * Refuses a place that no file can have: standard output (`E_USAGE`: what is handed on in pieces would be
 * used before all of it was verified), a folder (`E_IO`), and one in a folder that is not there
 * (`E_NOT_FOUND`). `name` is what the file would be called in a folder.
 */
export async function demandOutFile(out: string, name: string): Promise<void> {
  if (out === '-' || /^\/dev\/(stdout|fd\/1)$/.test(out)) {
    throw new IronError('E_USAGE', `the result is a file, and ${out} is none`, {
      why: 'standard output would hand on the beginning of it before the end was verified',
      hint: 'nothing was done; name a file, `./-` for one of that name',
    });
  }
  const folder = dirname(resolve(out));
  const found = await onPath(folder, () => stat(folder).catch(ifMissing));
  if (found?.isDirectory() !== true) {
    throw new IronError(
      'E_NOT_FOUND',
      `there is no folder ${folder} to write ${basename(out)} to`,
      {
        hint: 'nothing was done; make the folder, or name a file elsewhere',
        context: { path: folder },
      },
    );
  }
  if ((await onPath(out, () => stat(out).catch(ifMissing)))?.isDirectory() === true) {
    throw new IronError('E_IO', `${out} is a folder`, {
      hint: `nothing was done; name the file in it: ${join(out, basename(name) || 'driver')}`,
      context: { path: out },
    });
  }
}

function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
}
