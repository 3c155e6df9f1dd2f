/** What is about to be listed again: files of submissions that wait for publication or reviewers. */

import { isIronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import type { PublishParts } from '../publish/parts.ts';
import { blobsOf } from '../storage/blobs.ts';

/** Places of the tree that some submission lists which may still be published. */
export async function wantedPlaces({
  queue,
  quarantine,
}: Pick<PublishParts, 'queue' | 'quarantine'>): Promise<Set<string>> {
  const places = new Set<string>();
  const take = (bytes: Uint8Array, role: string): void => {
    for (const { path, sha256 } of blobsOf(parseTargets(bytes, role), role))
      places.add(tree.target(path, sha256));
  };
  for (const { vendor, role, files, below } of queue.unfinished()) {
    // The operators' files list no artifact but the list of revocations, which comes with them.
    if (vendor === null) continue;
    for (const bytes of files) take(bytes, role);
    for (const one of below) {
      const path = quarantine.path(vendor, one.sha256);
      try {
        take(await readFileCapped(path, METADATA_LIMITS.targets, { nofollow: true }), one.role);
      } catch (error) {
        // Without its file it will be refused.
        if (!isIronError(error, 'E_NOT_FOUND')) throw error;
      }
    }
  }
  return places;
}
