/** The bytes of every new target are here, measured by us. */

import { IronError } from '../../../shared/errors.ts';
import { type Check, isPublished, some } from '../check.ts';

export const blobs: Check = ({ entries, current, lengthOf }) => {
  let fresh = 0;
  for (const entry of entries) {
    const sha256 = entry.hashes.get('sha256');
    // Consistent snapshots name files by SHA-256 here (layout.ts): a target without one has no name.
    if (sha256 === undefined || entry.hashes.size !== 1) {
      throw new IronError('E_HASH', `${entry.path} is not listed by SHA-256 alone`);
    }
    if (isPublished(current, entry)) continue;
    fresh += 1;
    const length = lengthOf(sha256);
    if (length === undefined) {
      throw new IronError('E_NOT_FOUND', `the bytes of ${entry.path} were not uploaded`, {
        why: `there is no complete blob with the SHA-256 ${sha256}`,
        hint: 'nothing was changed; upload it first, and submit again',
        context: { path: entry.path, sha256 },
      });
    }
    if (length !== entry.length) {
      throw new IronError('E_LENGTH', `${entry.path} is listed with ${entry.length} bytes`, {
        why: `the blob with its SHA-256 has ${length}`,
        context: { path: entry.path, expected: entry.length, actual: length },
      });
    }
  }
  return `${some(fresh, 'new target')}, all uploaded and measured`;
};
