/** The role is the vendor's own: nobody submits for another. */

import { keyIdentity } from '../../../shared/crypto/key.ts';
import { IronError } from '../../../shared/errors.ts';
import { parseVendorName, quoted } from '../../../shared/tuf/names.ts';
import { demandBins, demandNested, Owners, patternsOf } from '../../../shared/tuf/nested.ts';
import { keyIdentities } from '../../../shared/tuf/role.ts';
import type { Check, Subject } from '../check.ts';

/** A vendor's role lists targets, is split into bins, or has roles nested in it. */
function demandOwnDelegations({ vendor, file, crypto, delegation, record }: Subject): void {
  const { delegations } = file;
  if (delegations === undefined) return;
  const { succinct } = delegations;
  if (succinct !== undefined) {
    demandBins(vendor, file, succinct);
    return;
  }
  demandNested(vendor, delegations, delegation === undefined ? [] : patternsOf(delegation));
  const api = new Set(record?.apiKeys.map(keyIdentity));
  for (const role of delegations.roles)
    for (const identity of keyIdentities(role.table, role))
      if (api.has(identity))
        throw new IronError('E_KEY', `a key of ${role.name} signs metadata and requests as well`);
  const owners = new Owners(crypto, vendor, file);
  const stray = file.paths().find((path) => owners.of(path) !== vendor);
  if (stray === undefined) return;
  throw new IronError('E_DELEGATION', `${vendor} lists ${quoted(stray)} itself`, {
    why: `it gives this path to ${owners.of(stray)}: a path would have two places in which it could stand`,
    context: { role: vendor, path: stray },
  });
}

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
  demandOwnDelegations(subject);
  return `${role} is the role of the vendor who signed the request`;
};
