/**
 * Whose revocations count: the security team's keys, in one field at the top level of the signed
 * targets beside the vendors. It stands there, and not in the delegation of the role
 * `revocations`, because that role's key is a hot one: it lists the list and can change nothing
 * in it.
 */

import { toHex } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import { keyIdentity, type PublicKey } from '../crypto/key.ts';
import { IronError } from '../errors.ts';
import { canonicalBytes } from '../json/canonical.ts';
import type { Node } from '../json/decode.ts';
import { type JsonObject, jsonObject } from '../json/value.ts';
import { REVOCATION_LIMITS } from '../limits.ts';
import { keyObject, parseKey } from './key.ts';
import { EXTENSION_FIELD } from './vendors.ts';

export interface RevocationTrust {
  /** Counts up when floors are to begin anew: after the team's keys were lost or abused. */
  readonly epoch: number;
  /** Distinct keys, kept offline. Those of unknown kinds are left out: they count nowhere. */
  readonly keys: readonly PublicKey[];
  /** At least 1. */
  readonly threshold: number;
}

/** The field of `x-ironport` that is meant here. */
export const TRUST_FIELD = 'revocations';

/** What the top-level targets say; undefined when they say nothing of revocations. `E_SCHEMA`. */
export function parseRevocationTrust(signed: Node): RevocationTrust | undefined {
  const field = signed.maybe(EXTENSION_FIELD)?.maybe(TRUST_FIELD);
  if (field === undefined) return undefined;
  field.only('epoch', 'keys', 'threshold');
  const keys = new Map<string, PublicKey>();
  for (const item of field.get('keys').items(REVOCATION_LIMITS.keys)) {
    const { publicKey } = parseKey(item);
    if (publicKey === undefined) continue;
    // A threshold counts keys (invariant 2): one that stands twice hopes to be counted twice.
    if (keys.has(keyIdentity(publicKey))) throw item.error('this key stands twice');
    keys.set(keyIdentity(publicKey), publicKey);
  }
  return {
    epoch: field.get('epoch').integer(1, REVOCATION_LIMITS.number),
    keys: [...keys.values()],
    threshold: field.get('threshold').integer(1, REVOCATION_LIMITS.keys),
  };
}

/** The field as it goes into the targets. `E_SCHEMA` when its threshold can never be met. */
export function revocationTrustField({ epoch, keys, threshold }: RevocationTrust): JsonObject {
  const distinct = new Set(keys.map(keyIdentity)).size;
  if (threshold < 1 || threshold > distinct || distinct !== keys.length) {
    throw new IronError('E_SCHEMA', `${threshold} of ${distinct} keys can never sign revocations`, {
      hint: `nothing was written; the threshold is from 1 to ${distinct}, and each key stands once`,
    });
  }
  return jsonObject([
    ['epoch', epoch],
    ['keys', keys.map(keyObject)],
    ['threshold', threshold],
  ]);
}

/**
 * What a list says that it was made under: SHA-256 of the canonical form of epoch, keys and
 * threshold. A list that was signed for other keys, or for another epoch, is no list here.
 */
export function revocationTrustDigest(crypto: Crypto, trust: RevocationTrust): string {
  return toHex(crypto.sha256(canonicalBytes(revocationTrustField(trust))));
}
