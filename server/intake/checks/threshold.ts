/** The metadata is signed by the vendor: by as many keys as the delegation demands (TUF 5.6.3). */

import { IronError } from '../../../shared/errors.ts';
import { verifyThreshold } from '../../../shared/tuf/role.ts';
import type { Check } from '../check.ts';

export const threshold: Check = ({ crypto, file, delegation, delegationKeys, role }) => {
  if (delegation === undefined)
    throw new IronError('E_NOT_AUTHORISED', `the signed targets name no keys for ${role}`);
  const keys = verifyThreshold(crypto, file.envelope, delegationKeys, delegation, role);
  return `signed by ${keys.length} keys of ${role}, ${delegation.threshold} must: ${keys.map((id) => id.slice(0, 12)).join(', ')}`;
};
