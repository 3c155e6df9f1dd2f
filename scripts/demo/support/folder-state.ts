/** What a folder holds, as one digest a file: to show that a refusal changed nothing. */

import { createHash } from 'node:crypto';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** Digest of every file below `folder`, by relative path; empty when there is no folder. */
export async function folderState(folder: string): Promise<ReadonlyMap<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const state = new Map<string, string>();
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile())
      state.set(
        relative(folder, path),
        createHash('sha256')
          .update(await readFile(path))
          .digest('hex'),
      );
    else if (entry.isSymbolicLink())
      state.set(relative(folder, path), `-> ${await readlink(path)}`);
  }
  return state;
}

/** Paths that differ between two states. */
export function changedPaths(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): string[] {
  const paths = new Set([...before.keys(), ...after.keys()]);
  return [...paths].filter((path) => before.get(path) !== after.get(path)).sort();
}
