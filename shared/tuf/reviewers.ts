/**
 * Who reviews what vendors hand in: keys and how many of them must agree, in one field at the top
 * level of the signed targets, beside the vendors. A review admits or refuses at the service; it
 * signs no artifact, and takes nobody's signature's place.
 */

import { keyIdentity, type PublicKey } from '../crypto/key.ts';
import { IronError } from '../errors.ts';
import type { Node } from '../json/decode.ts';
import { type JsonObject, jsonObject } from '../json/value.ts';
import { REVIEW_LIMITS } from '../limits.ts';
import { keyObject, parseKey } from './key.ts';
import { EXTENSION_FIELD } from './vendors.ts';

export interface Reviewers {
  /** Distinct keys. Those of unknown kinds are left out: they count nowhere. */
  readonly keys: readonly PublicKey[];
  /** How many must approve; at least 1. One who rejects is enough. */
  readonly threshold: number;
}

/** The field of `x-ironport` that is meant here. */
export const REVIEWERS_FIELD = 'reviewers';

/** What the top-level targets say; undefined when they name no reviewers. `E_SCHEMA`. */
export function parseReviewers(signed: Node): Reviewers | undefined {
  const field = signed.maybe(EXTENSION_FIELD)?.maybe(REVIEWERS_FIELD);
  if (field === undefined) return undefined;
  field.only('keys', 'threshold');
  const keys = new Map<string, PublicKey>();
  for (const item of field.get('keys').items(REVIEW_LIMITS.keys)) {
    const { publicKey } = parseKey(item);
    if (publicKey === undefined) continue;
    // A threshold counts keys (invariant 2): one that stands twice hopes to be counted twice.
    if (keys.has(keyIdentity(publicKey))) throw item.error('this key stands twice');
    keys.set(keyIdentity(publicKey), publicKey);
  }
  const threshold = field.get('threshold').integer(1, REVIEW_LIMITS.keys);
  return { keys: [...keys.values()], threshold };
}

/** The field as it goes into the targets. `E_SCHEMA` when so many can never agree. */
export function reviewersField({ keys, threshold }: Reviewers): JsonObject {
  const distinct = new Set(keys.map(keyIdentity)).size;
  if (threshold < 1 || threshold > distinct || distinct !== keys.length)
    throw new IronError('E_SCHEMA', `${threshold} of ${distinct} reviewers can never agree`, {
      hint: `nothing was written; the number is from 1 to ${distinct}, and each key stands once`,
    });
  return jsonObject([
    ['keys', keys.map(keyObject)],
    ['threshold', threshold],
  ]);
}
