/**
 * The evidence keys of a vendor, as its role lists them: `"x-ironport": {"evidence_keys": [...]}`
 * among the signed fields. They sign evidence and nothing else; the role's own keys decide who
 * they are.
 */

import type { Crypto } from '../crypto/crypto.ts';
import { keyIdentity, type PublicKey } from '../crypto/key.ts';
import type { Node } from '../json/decode.ts';
import { type JsonObject, jsonObject } from '../json/value.ts';
import { EVIDENCE_LIMITS } from '../limits.ts';
import { keyId, keyObject, parseKey } from '../tuf/key.ts';

/** The field of a role's signed part that is ours. */
export const ROLE_FIELD = 'x-ironport';

export interface EvidenceKeys {
  /** Keys that sign new evidence. */
  readonly active: readonly PublicKey[];
  /** Keys that sign nothing new, but stay good for what the current role still lists. */
  readonly retired: readonly PublicKey[];
}

/**
 * The evidence keys in the signed part of a vendor's role; none when it lists none. `E_SCHEMA`.
 * Keys of unknown kinds are passed over, as in TUF 4.2.2: they count nowhere.
 */
export function parseEvidenceKeys(signed: Node): EvidenceKeys {
  const keys = { active: [] as PublicKey[], retired: [] as PublicKey[] };
  const listed = signed.maybe(ROLE_FIELD)?.maybe('evidence_keys');
  const seen = new Set<string>();
  for (const item of listed?.items(EVIDENCE_LIMITS.keys) ?? []) {
    const state = item.get('state').oneOf('active', 'retired');
    const { publicKey } = parseKey(item);
    if (publicKey === undefined) continue;
    // A key that stands twice could be active and retired at once.
    if (seen.has(keyIdentity(publicKey))) throw item.error('this key stands twice');
    seen.add(keyIdentity(publicKey));
    keys[state].push(publicKey);
  }
  return keys;
}

/** The value of the field `x-ironport` of a role. */
export function buildEvidenceKeys(keys: EvidenceKeys): JsonObject {
  const listed = (state: 'active' | 'retired'): JsonObject[] =>
    keys[state].map((key) => jsonObject([...Object.entries(keyObject(key)), ['state', state]]));
  return jsonObject([['evidence_keys', [...listed('active'), ...listed('retired')]]]);
}

/** A key as verdicts name it: scheme, id, and whether it is retired. */
export function evidenceKeyText(crypto: Crypto, key: PublicKey, keys: EvidenceKeys): string {
  const identity = keyIdentity(key);
  const retired = keys.retired.some((other) => keyIdentity(other) === identity);
  return `${key.scheme} ${keyId(crypto, key)}${retired ? ' (retired)' : ''}`;
}
