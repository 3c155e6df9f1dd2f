/** Every path is one that was delegated to this vendor, and of the documented form. */

import { IronError } from '../../../shared/errors.ts';
import { NAME_LIMITS } from '../../../shared/limits.ts';
import { parseArtifactPath, quoted } from '../../../shared/tuf/names.ts';
import { matchesPattern } from '../../../shared/tuf/path-pattern.ts';
import { type Check, some } from '../check.ts';

export const namespace: Check = ({ entries, delegation, vendor }) => {
  const { scope } = delegation ?? { scope: { paths: [] } };
  const patterns = 'paths' in scope ? scope.paths : [];
  for (const { path } of entries) {
    // TUF 4.5: a delegation covers what matches one of its patterns. The clients would pass over
    // the rest in silence; a vendor should hear of it.
    if (
      !path.startsWith(`${vendor}/`) ||
      !patterns.some((pattern) => matchesPattern(pattern, path))
    ) {
      throw new IronError('E_NOT_AUTHORISED', `${vendor} may not speak for ${quoted(path)}`, {
        why: `the signed targets delegate ${patterns.join(', ') || 'nothing'} to it`,
        context: { path, vendor },
      });
    }
    const { file } = parseArtifactPath(path);
    // In the tree the digest stands before the name (TUF 5.7.3), as one segment of a path.
    if (file.length + 65 > NAME_LIMITS.segment) {
      throw new IronError('E_NAME', `the file name of ${quoted(path)} is too long`, {
        why: `a digest and the name must fit into ${NAME_LIMITS.segment} bytes`,
      });
    }
  }
  return `${some(entries.length, 'path')}, all in ${patterns.join(', ')}`;
};
