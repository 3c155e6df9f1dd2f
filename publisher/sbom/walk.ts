/** The regular files under a folder, in an order that does not depend on the disk. */

import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { IronError } from '../../shared/errors.ts';
import { PUBLISHER_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';

export interface Walked {
  /** Relative to the folder, with `/`. */
  readonly files: readonly string[];
  /** Links, devices and the like, which are not followed and not read. */
  readonly leftOut: readonly string[];
}

/** `without` is left out: the file that is about to be written. `E_TOO_LARGE`, `E_IO`. */
export async function walkFolder(folder: string, without: string): Promise<Walked> {
  const [files, leftOut]: string[][] = [[], []];
  const queue: { readonly path: string; readonly depth: number }[] = [{ path: '', depth: 0 }];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const { path, depth } = next;
    const place = join(folder, path);
    if (depth > PUBLISHER_LIMITS.folderDepth)
      throw tooMuch(`${place} lies more than ${PUBLISHER_LIMITS.folderDepth} folders deep`);
    for (const entry of await onPath(place, () => readdir(place, { withFileTypes: true }))) {
      const name = path === '' ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) queue.push({ path: name, depth: depth + 1 });
      else if (!entry.isFile()) leftOut?.push(name);
      else if (resolve(folder, name) !== resolve(without)) files?.push(name);
    }
    if ((files?.length ?? 0) > PUBLISHER_LIMITS.folderFiles)
      throw tooMuch(`${folder} has more than ${PUBLISHER_LIMITS.folderFiles} files`);
  }
  return { files: files?.sort() ?? [], leftOut: leftOut?.sort() ?? [] };
}

function tooMuch(what: string): IronError {
  return new IronError('E_TOO_LARGE', what, { hint: 'nothing was written; name a smaller folder' });
}
