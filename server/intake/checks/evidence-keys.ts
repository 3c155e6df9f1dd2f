/** The role says who signs evidence, and those keys do nothing else (ADR 0007). */

import { keyIdentity } from '../../../shared/crypto/key.ts';
import { IronError } from '../../../shared/errors.ts';
import { parseEvidenceKeys } from '../../../shared/evidence/keys.ts';
import { keyIdentities } from '../../../shared/tuf/role.ts';
import { type Check, some } from '../check.ts';

export const evidenceKeys: Check = ({ file, delegation, delegationKeys, record, role }) => {
  const { active, retired } = parseEvidenceKeys(file.envelope.signed);
  if (active.length === 0) {
    throw new IronError('E_EVIDENCE', `${role} lists no active evidence key`, {
      why: 'nobody could sign evidence for a new artifact',
    });
  }
  const tuf =
    delegation === undefined ? new Set<string>() : keyIdentities(delegationKeys, delegation);
  const { succinct, roles = [] } = file.delegations ?? {};
  for (const below of succinct === undefined ? roles : [succinct])
    for (const identity of keyIdentities(below.table, below)) tuf.add(identity);
  const api = new Set(record?.apiKeys.map(keyIdentity));
  for (const key of [...active, ...retired]) {
    const other = tuf.has(keyIdentity(key))
      ? 'metadata'
      : api.has(keyIdentity(key))
        ? 'requests'
        : '';
    if (other === '') continue;
    throw new IronError('E_KEY', `an evidence key of ${role} signs ${other} as well`, {
      why: 'keys for metadata, evidence and requests are three lists, so that none stands for another',
    });
  }
  return `${some(active.length, 'active evidence key')}, ${retired.length} retired`;
};
