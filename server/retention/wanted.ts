/** What is about to be listed again: files of submissions that wait for publication or reviewers. */

import { isIronError } from '../../shared/errors.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import type { PublishParts } from '../publish/parts.ts';
import { blobsOf } from '../storage/blobs.ts';

/**
 * Bytes by their digest, whoever asks for them: a vendor need not send again, under whatever name, what it
 * published, and in a tree that was taken over the same place may be the vendor's and the operators'.
 */
export class Wanted {
  readonly #blobs = new Set<string>();

  add(sha256: string): void {
    this.#blobs.add(sha256);
  }

  has({ sha256 }: { readonly sha256: string }): boolean {
    return this.#blobs.has(sha256);
  }
}

/** What some submission lists which may still be published. */
export async function wantedBlobs({
  queue,
  quarantine,
}: Pick<PublishParts, 'queue' | 'quarantine'>): Promise<Wanted> {
  const wanted = new Wanted();
  for (const { vendor, role, files, below } of queue.unfinished()) {
    // The operators' files list no artifact but the list of revocations, which comes with them.
    if (vendor === null) continue;
    const take = (bytes: Uint8Array, name: string): void => {
      for (const { sha256 } of blobsOf(parseTargets(bytes, name), name)) wanted.add(sha256);
    };
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
  return wanted;
}
