/** A nested role lists what was given to it, and gives on no more than that. */

import { keyIdentity } from '../../../shared/crypto/key.ts';
import { IronError } from '../../../shared/errors.ts';
import { parseEvidenceKeys, ROLE_FIELD } from '../../../shared/evidence/keys.ts';
import { quoted } from '../../../shared/tuf/names.ts';
import { Owners, parentRole } from '../../../shared/tuf/nested.ts';
import type { Check, Subject } from '../check.ts';
import { demandDelegations } from './delegations.ts';

export const nested: Check = (subject) => {
  const { role, file, crypto, parent, vendor } = subject;
  // No client would read it here, and somebody might believe that it holds.
  if (file.envelope.signed.maybe(ROLE_FIELD) !== undefined)
    throw new IronError('E_DELEGATION', `the nested role ${role} has a field ${ROLE_FIELD}`, {
      why: `evidence keys and floors of all its roles stand in the role ${vendor}`,
    });
  const above = parentRole(role) ?? vendor;
  const owners = new Owners(crypto, above, parent);
  const stray = file.paths().find((path) => owners.of(path) !== role);
  if (stray !== undefined)
    throw new IronError('E_DELEGATION', `${role} lists ${quoted(stray)}`, {
      why: `the role ${above} gives this path to ${owners.of(stray)}`,
      context: { role, path: stray },
    });
  demandDelegations(subject);
  demandNoEvidenceKey(subject);
  return `every path of ${role} is given to it`;
};

/** Keys for metadata and for evidence are two lists, however deep a role stands. */
function demandNoEvidenceKey({ role, file, own }: Subject): void {
  if (own === undefined || file.delegations === undefined) return;
  const { active, retired } = parseEvidenceKeys(own.envelope.signed);
  const evidence = new Set([...active, ...retired].map(keyIdentity));
  for (const { publicKey } of file.delegations.keys.values())
    if (publicKey !== undefined && evidence.has(keyIdentity(publicKey)))
      throw new IronError('E_KEY', `${role} delegates to a key that signs evidence as well`, {
        why: 'keys for metadata, evidence and requests are three lists, so that none stands for another',
      });
}
