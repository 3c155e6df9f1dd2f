/** The version is the next one: whoever was second must look at what the first one did. */

import { IronError } from '../../../shared/errors.ts';
import type { Check } from '../check.ts';

export const version: Check = ({ file, currentVersion, role }) => {
  // Not just higher (TUF 5.6.4): a gap would hide that two people signed without seeing each other.
  if (file.version === currentVersion + 1) return `version ${file.version} follows the published`;
  throw new IronError(
    'E_CONFLICT',
    `version ${file.version} of ${role} was submitted, and version ${currentVersion} stands`,
    {
      why: `the next one must be version ${currentVersion + 1}, based on what is published`,
      hint: 'nothing was changed; fetch and verify what is published, and sign again on top of it',
      context: { submitted: file.version, current: currentVersion },
    },
  );
};
