/** A path that was ever published keeps its bytes (invariant 6). */

import { IronError } from '../../../shared/errors.ts';
import { indexPath } from '../../../shared/layout.ts';
import { type Check, some } from '../check.ts';

export const unchanged: Check = ({ entries, digestsOf, vendor }) => {
  let known = 0;
  for (const { path, hashes } of entries) {
    const before = digestsOf(path);
    if (before.length === 0) continue;
    known += 1;
    const sha256 = hashes.get('sha256') ?? '';
    // The index of a product is the one thing of a vendor that moves.
    if (before.includes(sha256) || path === indexPath(vendor, path.split('/')[1] ?? '')) continue;
    throw new IronError('E_EXISTS', `${path} was published before, with other bytes`, {
      why: `it has the SHA-256 ${before[0]}, and ${sha256 || 'no SHA-256'} was submitted`,
      hint: 'nothing was changed; what was published stays what it is: publish a new version',
      context: { path },
    });
  }
  return `${some(known, 'path')} published before, none with other bytes`;
};
