/** What lies below a folder, without following links. */

import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import { onPath } from '../../shared/node/file-system.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';

/** Paths of all files below, relative and with `/`. */
export async function listFiles(folder: string): Promise<string[]> {
  return await list(folder, (entry) => entry.isFile());
}

/** The same of links, pipes and whatever else has no place in a tree. */
export async function listOthers(folder: string): Promise<string[]> {
  return await list(folder, (entry) => !entry.isFile() && !entry.isDirectory());
}

/** Walks by itself: a recursive readdir follows links on some versions of Node, out of the tree. */
async function list(folder: string, wanted: (entry: Dirent) => boolean): Promise<string[]> {
  const found: string[] = [];
  const pending = [folder];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const place = at;
    for (const entry of await onPath(place, () => promptFiles.list(place))) {
      const path = join(place, entry.name);
      if (entry.isDirectory()) pending.push(path);
      if (wanted(entry)) found.push(path.slice(folder.length + 1));
    }
  }
  return found;
}
