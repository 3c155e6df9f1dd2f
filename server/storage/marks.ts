/**
 * Marks in the tree: an empty file for each target whose bytes were collected, so that whoever
 * serves a copy can tell "gone, as was said" from "never here". A mark says nothing that the signed
 * metadata does not allow: fsck holds each against the window that was published.
 */

import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { tree } from '../../shared/layout.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { listFiles } from '../publish/list-files.ts';

/** A target that was published once. */
export interface PublishedName {
  readonly path: string;
  readonly sha256: string;
}

/** Every target of the tree in `folder` that has a mark and no bytes. */
export async function collectedNames(folder: string): Promise<PublishedName[]> {
  const marks = await listFiles(join(folder, tree.collectedFolder)).catch((error) => {
    if (isErrno(error) && error.code === 'ENOENT') return [];
    if (isErrno(error.cause) && error.cause.code === 'ENOENT') return [];
    throw error;
  });
  const names: PublishedName[] = [];
  for (const mark of marks) {
    const name = nameOfPlace(mark);
    if (name === undefined) continue;
    if (!(await isThere(join(folder, tree.target(name.path, name.sha256))))) names.push(name);
  }
  return names;
}

/** `a/b/<sha256>.c`, below the folder of targets or of marks, as the name that it stands for. */
export function nameOfPlace(place: string): PublishedName | undefined {
  const [, folder = '', sha256, file] = /^(.*\/)?([0-9a-f]{64})\.([^/]+)$/.exec(place) ?? [];
  return sha256 === undefined ? undefined : { path: `${folder}${file}`, sha256 };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isErrno(error) && error.code === 'ENOENT') return false;
    throw error;
  }
}
