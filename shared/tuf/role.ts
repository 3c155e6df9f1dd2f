/** Keys and threshold of a role, and the counting of signatures (TUF 1.0.34 section 4.3, 5.3.4). */

import type { Crypto } from '../crypto/crypto.ts';
import { keyIdentity } from '../crypto/key.ts';
import { IronError } from '../errors.ts';
import type { Node } from '../json/decode.ts';
import { METADATA_LIMITS } from '../limits.ts';
import type { Envelope } from './envelope.ts';
import { parseKey, shortKeyId, signatureBytes, signedMessage, type TufKey } from './key.ts';

export interface RoleKeys {
  readonly keyids: readonly string[];
  /** At least 1. */
  readonly threshold: number;
}

export type KeyTable = ReadonlyMap<string, TufKey>;

export function parseRoleKeys(node: Node): RoleKeys {
  const keyids = node
    .get('keyids')
    .items(METADATA_LIMITS.keys)
    .map((item) => item.string());
  // The same id twice in one role says that somebody hopes to be counted twice.
  if (new Set(keyids).size !== keyids.length)
    throw node.get('keyids').error('a key id stands twice');
  // TUF 4.3: a threshold is an integer greater than zero; zero would switch verification off.
  return { keyids, threshold: node.get('threshold').integer(1) };
}

export function parseKeyTable(node: Node): KeyTable {
  return new Map(node.entries(METADATA_LIMITS.keys).map(([keyid, key]) => [keyid, parseKey(key)]));
}

/**
 * Counts the distinct keys of `role` that signed `envelope`, and throws `E_THRESHOLD` when they
 * are fewer than its threshold. Keys are compared by what they are: the same key under two ids,
 * or two signatures of one key, count once. Returns the ids that counted.
 */
export function verifyThreshold(
  crypto: Crypto,
  envelope: Envelope,
  keys: KeyTable,
  role: RoleKeys,
  name: string,
): string[] {
  const counted = new Map<string, string>();
  const reasons: string[] = [];
  for (const keyid of role.keyids) {
    const key = keys.get(keyid);
    const sig = envelope.signatures.get(keyid);
    if (sig === undefined) continue;
    if (key?.publicKey === undefined) {
      reasons.push(`${shortKeyId(keyid)}: ${key?.unusable ?? 'no such key is listed'}`);
      continue;
    }
    const bytes = signatureBytes(sig);
    const message = signedMessage(crypto, key.publicKey, envelope.signedBytes());
    if (bytes === undefined || !crypto.verify(key.publicKey, message, bytes)) {
      reasons.push(`${shortKeyId(keyid)}: its signature does not verify`);
      continue;
    }
    const identity = keyIdentity(key.publicKey);
    if (counted.has(identity)) reasons.push(`${shortKeyId(keyid)}: the same key again`);
    else counted.set(identity, keyid);
  }
  if (counted.size < role.threshold) {
    throw new IronError(
      'E_THRESHOLD',
      `${name} is signed by ${counted.size} of the ${role.threshold} keys that it needs`,
      {
        why:
          reasons.length > 0
            ? reasons.join('; ')
            : `no ${counted.size > 0 ? 'other ' : ''}signature on it is by a key of this role`,
        hint: 'nothing was changed; the file is not from who it claims to be from, or was altered on the way',
        context: { role: name, signed: counted.size, threshold: role.threshold },
      },
    );
  }
  return [...counted.values()];
}

/** The distinct usable keys of a role, by identity. */
export function keyIdentities(keys: KeyTable, role: RoleKeys): Set<string> {
  const identities = role.keyids
    .map((keyid) => keys.get(keyid)?.publicKey)
    .filter((key) => key !== undefined);
  return new Set(identities.map(keyIdentity));
}
