/** What a change of trust is, and the comparisons that every kind of file needs. */

import type { Crypto } from '../../crypto/crypto.ts';
import { keyIdentity, type PublicKey } from '../../crypto/key.ts';
import { canonicalText } from '../../json/canonical.ts';
import type { JsonObject, JsonValue } from '../../json/value.ts';
import { keyId, shortKeyId } from '../key.ts';
import type { KeyTable, RoleKeys } from '../role.ts';

/** One sentence about who may do what from now on. */
export interface TrustChange {
  /** `warns`: nothing changed hands, but the file does something that seldom is meant. */
  readonly effect: 'gains' | 'loses' | 'changes' | 'warns';
  readonly text: string;
}

export const gains = (text: string): TrustChange => ({ effect: 'gains', text });
export const loses = (text: string): TrustChange => ({ effect: 'loses', text });
export const changes = (text: string): TrustChange => ({ effect: 'changes', text });
export const warns = (text: string): TrustChange => ({ effect: 'warns', text });

/** Things by their identity, with the words for each. */
export type Named = ReadonlyMap<string, string>;

/** What was added to and what was taken from a set, each in the order of its own file. */
export function setDiff(
  before: Named,
  after: Named,
  gained: (words: string) => string,
  lost: (words: string) => string,
): TrustChange[] {
  const added = [...after].filter(([id]) => !before.has(id));
  const removed = [...before].filter(([id]) => !after.has(id));
  return [
    ...removed.map(([, words]) => loses(lost(words))),
    ...added.map(([, words]) => gains(gained(words))),
  ];
}

/** A key in words: enough of its id to compare, and what it is. */
export function keyWords(crypto: Crypto, key: PublicKey): string {
  return `${shortKeyId(keyId(crypto, key))} (${key.scheme})`;
}

/** The keys of a role. By what they are, not by their ids: a key under a new id is no new key. */
export function roleKeyNames(crypto: Crypto, table: KeyTable, role: RoleKeys | undefined): Named {
  const names = new Map<string, string>();
  for (const keyid of role?.keyids ?? []) {
    const key = table.get(keyid)?.publicKey;
    if (key !== undefined) names.set(keyIdentity(key), keyWords(crypto, key));
    else names.set(keyid, `${shortKeyId(keyid)} (of no use here: it counts for nothing)`);
  }
  return names;
}

export function keyNames(crypto: Crypto, keys: readonly PublicKey[]): Named {
  return new Map(keys.map((key) => [keyIdentity(key), keyWords(crypto, key)]));
}

/** `2 of 3`. */
export function thresholdWords(role: RoleKeys, keys: Named): string {
  return `${role.threshold} of ${keys.size}`;
}

/** Whether two values have one meaning, i.e. one canonical form. */
export function isSame(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return canonicalText(a) === canonicalText(b);
}

/** Members that nothing else here speaks about: what is not understood must not pass unseen. */
export function otherMembers(
  before: JsonObject | undefined,
  after: JsonObject,
  spokenOf: readonly string[],
  prefix = '',
): TrustChange[] {
  const names = new Set([...Object.keys(before ?? {}), ...Object.keys(after)]);
  return [...names]
    .filter((name) => !spokenOf.includes(name) && !isSame(before?.[name], after[name]))
    .map((name) => {
      const field = JSON.stringify(prefix + name);
      if (before?.[name] === undefined) return changes(`the field ${field} is new`);
      if (after[name] === undefined) return changes(`the field ${field} is gone`);
      return changes(`the field ${field} has another content`);
    });
}
