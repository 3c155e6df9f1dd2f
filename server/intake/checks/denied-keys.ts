/**
 * Enough keys signed the role without those that the list of revocations denies. That a denial
 * names digests which stay allowed says something of what stands, and gives no leave for more:
 * whoever holds a denied key could renew with it, or leave things out.
 */

import { IronError } from '../../../shared/errors.ts';
import { keyId } from '../../../shared/tuf/key.ts';
import { verifyThreshold } from '../../../shared/tuf/role.ts';
import { type Check, some } from '../check.ts';

export const deniedKeys: Check = (subject) => {
  const { crypto, file, delegation, delegationKeys, role, revocations } = subject;
  if (revocations === undefined) return 'the targets name no security team';
  if (delegation === undefined)
    throw new IronError('E_NOT_AUTHORISED', `the signed targets name no keys for ${role}`);
  const denials = new Map(
    delegation.keyids.flatMap((id) => {
      // Denied is what a key is, under whichever id it stands in the targets.
      const key = delegationKeys.get(id)?.publicKey;
      const keyid = key === undefined ? id : keyId(crypto, key);
      const denial = revocations.keys.get(keyid);
      return denial === undefined ? [] : [[id, { keyid, reason: denial.reason }] as const];
    }),
  );
  if (denials.size === 0) return `none of ${some(delegation.keyids.length, 'key')} is denied`;
  const signed = verifyThreshold(crypto, file.envelope, delegationKeys, delegation, role);
  const denied = signed.filter((id) => denials.has(id));
  const first = denials.get(denied[0] ?? '');
  const good = signed.length - denied.length;
  if (first === undefined || good >= delegation.threshold)
    return `signed by ${some(good, 'key')} that no list denies, ${delegation.threshold} must`;
  throw new IronError('E_REVOKED', `${role} rests on the denied key ${first.keyid}`, {
    why: first.reason,
    hint: `nothing was changed; sign it with keys that are not denied, or have the operators exchange the keys of ${role}`,
    context: { reason: 'key', role },
  });
};
