/** What is published stays within what others read. */

import { IronError } from '../../../shared/errors.ts';
import { PUBLISHED_LIMITS, SERVER_LIMITS } from '../../../shared/limits.ts';
import { type Check, some } from '../check.ts';

export const sizes: Check = ({ length, entries, role }) => {
  if (length > PUBLISHED_LIMITS.targets) {
    throw new IronError('E_TOO_LARGE', `the file of ${role} has ${length} bytes`, {
      why: `more than ${PUBLISHED_LIMITS.targets} come near what clients refuse to read`,
      context: { length, limit: PUBLISHED_LIMITS.targets },
    });
  }
  for (const entry of entries) {
    if (entry.length <= SERVER_LIMITS.artifact) continue;
    throw new IronError('E_TOO_LARGE', `${entry.path} has ${entry.length} bytes`, {
      context: { length: entry.length, limit: SERVER_LIMITS.artifact },
    });
  }
  return `${length} bytes of metadata, ${some(entries.length, 'target')}`;
};
