/** What a targets file changes about reviewers: who may review, and how many must agree. */

import type { Crypto } from '../../crypto/crypto.ts';
import { parseReviewers } from '../reviewers.ts';
import type { Targets } from '../targets.ts';
import { changes, keyNames, setDiff, type TrustChange, warns } from './change.ts';

export function reviewersDiff(
  crypto: Crypto,
  before: Targets | undefined,
  after: Targets,
): TrustChange[] {
  const then = before === undefined ? undefined : parseReviewers(before.envelope.signed);
  const now = parseReviewers(after.envelope.signed);
  const list = setDiff(
    keyNames(crypto, then?.keys ?? []),
    keyNames(crypto, now?.keys ?? []),
    (key) => `the key ${key} may review what vendors hand in`,
    (key) => `the key ${key} may no longer review`,
  );
  if (now === undefined) {
    if (then !== undefined)
      list.push(warns('nobody may review: what waits for it is not admitted'));
    return list;
  }
  const { keys, threshold } = now;
  if (threshold !== then?.threshold)
    list.push(changes(`an approval takes ${threshold} of ${keys.length} reviewers`));
  if (threshold > keys.length)
    list.push(warns(`${threshold} reviewers must agree, and ${keys.length} keys are of use here`));
  return list;
}
