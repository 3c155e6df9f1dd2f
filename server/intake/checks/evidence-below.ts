/**
 * A key that begins to sign evidence signs no role of the branch, however deep. A role that delegates
 * anew is held against the evidence keys there are (nested.ts); so only new ones are looked for here.
 */

import { keyIdentity } from '../../../shared/crypto/key.ts';
import { IronError } from '../../../shared/errors.ts';
import { parseEvidenceKeys } from '../../../shared/evidence/keys.ts';
import type { BranchWalk } from '../../../shared/tuf/branch-walk.ts';
import { isBinName } from '../../../shared/tuf/nested.ts';
import type { Targets } from '../../../shared/tuf/targets.ts';

/**
 * The check, or undefined where there is nothing to look for: it reads every nested role.
 * @param own the vendor's own role as it was submitted
 * @param before what is published of it
 */
export function evidenceBelow(
  after: BranchWalk,
  own: Targets | undefined,
  before: Targets | undefined,
): (() => Promise<string>) | undefined {
  if (own === undefined || (own.delegations?.roles ?? []).length === 0) return undefined;
  const keys = identitiesOf(own);
  for (const known of before === undefined ? [] : identitiesOf(before)) keys.delete(known);
  return keys.size === 0 ? undefined : () => demandNoneBelow(after, keys);
}

async function demandNoneBelow(after: BranchWalk, keys: ReadonlySet<string>): Promise<string> {
  for await (const role of after.names()) {
    if (isBinName(role)) continue;
    for (const { publicKey } of (await after.read(role))?.delegations?.keys.values() ?? [])
      if (publicKey !== undefined && keys.has(keyIdentity(publicKey)))
        throw new IronError('E_KEY', `an evidence key of ${after.vendor} signs a role in ${role}`, {
          why: 'keys for metadata, evidence and requests are three lists, so that none stands for another',
          hint: 'nothing was changed; make a key of its own for evidence',
          context: { role },
        });
  }
  return `no role of ${after.vendor} is signed by a new evidence key`;
}

function identitiesOf(role: Targets): Set<string> {
  const { active, retired } = parseEvidenceKeys(role.envelope.signed);
  return new Set([...active, ...retired].map(keyIdentity));
}
