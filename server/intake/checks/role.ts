/** The role is the vendor's own: nobody submits for another. */

import { IronError } from '../../../shared/errors.ts';
import { parseVendorName, quoted } from '../../../shared/tuf/names.ts';
import type { Check } from '../check.ts';
import { demandDelegations } from './delegations.ts';

export const role: Check = (subject) => {
  const { role, vendor, delegation } = subject;
  parseVendorName(role);
  if (role !== vendor) {
    throw new IronError('E_NOT_AUTHORISED', `${vendor} may not submit the role ${quoted(role)}`, {
      why: 'the request is signed by an API key of another vendor than the role names',
    });
  }
  if (delegation === undefined) {
    throw new IronError('E_NOT_AUTHORISED', `the signed targets delegate nothing to ${role}`);
  }
  demandDelegations(subject);
  return `${role} is the role of the vendor who signed the request`;
};
