/**
 * The index of published names, made again from the tree. A name that a version listed which lacks now (lost,
 * and declared so or not) is in no file any more, and could be given other bytes (invariant 6). It is known
 * still from two places, and counts as published from either: from the index as it was, where there is one, and from
 * the place of its bytes or of their mark, which says path and digest. Only of vendors of whom a version lacks:
 * of all others the tree alone says what they published, and heals an index that says otherwise. Such a name
 * is noted as collected, whatever lies there: nobody vouches for the bytes, which are not handed on.
 *
 * Nothing else knows it. Snapshots and targets list roles and no paths; verdicts name single paths, and those
 * of what was refused as well; a backup has the index in its database, and `restore` brings that with it.
 */

import { join } from 'node:path';
import { revocations, tree } from '../../shared/layout.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { vendorOfRole } from '../../shared/tuf/names.ts';
import type { BlobIndex, PublishedBlob } from '../db/blob-index.ts';
import { listFiles } from '../publish/list-files.ts';
import { everyBlob, mayList, roleFiles } from './blobs.ts';
import { loadImported } from './imported.ts';
import { collectedNames, nameOfPlace } from './marks.ts';

/**
 * Returns how many entries it has now. `E_STORE` as `everyBlob`.
 * @param timestamp the version up to which the tree goes
 * @param isTold see `everyBlob`
 */
export async function reindex(
  index: BlobIndex,
  folder: string,
  timestamp: number,
  isTold = false,
): Promise<number> {
  const vendors = await vendorsWithGaps(folder);
  const placed = vendors.size === 0 ? [] : await placedNames(folder, vendors);
  return await index.rebuild(everyBlob(folder, isTold), timestamp, {
    collected: await collectedNames(folder),
    incomplete: vendors,
    placed,
  });
}

/** Those of whom a version of some role is not there: versions follow one another, and none is ever removed. */
async function vendorsWithGaps(folder: string): Promise<Set<string>> {
  const first = (await loadImported(folder))?.first ?? {};
  const vendors = new Set<string>();
  let [role, next] = ['', 0];
  // Sorted by role and version.
  for (const file of await roleFiles(folder)) {
    // A machine that renews on its own may skip a version that nobody came to see.
    if (!mayList(file) || file.role === revocations.role) continue;
    if (file.role !== role) [role, next] = [file.role, first[file.role] ?? 1];
    if (file.version > next) vendors.add(vendorOfRole(role));
    next = Math.max(next, file.version + 1);
  }
  return vendors;
}

/** Names of these vendors by the places of bytes and of marks in the tree. */
async function placedNames(folder: string, vendors: ReadonlySet<string>): Promise<PublishedBlob[]> {
  const names: PublishedBlob[] = [];
  for (const below of [tree.targetsFolder, tree.collectedFolder]) {
    for (const place of await listThere(join(folder, below))) {
      const name = nameOfPlace(place);
      if (name === undefined) continue;
      // What the operators' targets list, where a repository was taken over, is under any name.
      const [named = ''] = name.path.split('/');
      const vendor = vendors.has(named) ? named : 'targets';
      if (vendors.has(vendor)) names.push({ ...name, length: 0, vendor });
    }
  }
  return names;
}

async function listThere(folder: string): Promise<string[]> {
  try {
    return await listFiles(folder);
  } catch (error) {
    const cause = error instanceof Error && isErrno(error.cause) ? error.cause : error;
    if (isErrno(cause) && cause.code === 'ENOENT') return [];
    throw error;
  }
}
