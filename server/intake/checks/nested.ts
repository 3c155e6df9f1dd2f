/** A nested role lists what its vendor gave to it, and is the end of the search. */

import { IronError } from '../../../shared/errors.ts';
import { ROLE_FIELD } from '../../../shared/evidence/keys.ts';
import { quoted } from '../../../shared/tuf/names.ts';
import { Owners } from '../../../shared/tuf/nested.ts';
import type { Check } from '../check.ts';

export const nested: Check = ({ role, file, crypto, parent, vendor }) => {
  if (file.delegations !== undefined)
    throw new IronError('E_DELEGATION', `the nested role ${role} delegates on`, {
      why: `roles are nested in ${vendor}, and in no other`,
    });
  // No client would read it here, and somebody might believe that it holds.
  if (file.envelope.signed.maybe(ROLE_FIELD) !== undefined)
    throw new IronError('E_DELEGATION', `the nested role ${role} has a field ${ROLE_FIELD}`, {
      why: `evidence keys and floors of all its roles stand in the role ${vendor}`,
    });
  const owners = new Owners(crypto, vendor, parent);
  const stray = file.paths().find((path) => owners.of(path) !== role);
  if (stray !== undefined)
    throw new IronError('E_DELEGATION', `${role} lists ${quoted(stray)}`, {
      why: `the role ${vendor} gives this path to ${owners.of(stray)}`,
      context: { role, path: stray },
    });
  return `every path of ${role} is given to it`;
};
