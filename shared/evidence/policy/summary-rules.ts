/** The rules about verification summaries among the statements (SLSA 1.2, "How to verify"). */

import { keyIdentity, type PublicKey } from '../../crypto/key.ts';
import { DAY, formatInstant, type Instant } from '../../time.ts';
import type { EvidenceVerdict } from '../evidence.ts';
import { PREDICATE_TYPES } from '../identifiers.ts';
import type { SignedStatement } from '../statements.ts';
import { parseSummaryClaim, type SummaryClaim, saysLevel } from '../summary-claim.ts';
import type { Signers } from './signers.ts';
import { expectedResource, type SummaryRule } from './summary-rule.ts';
import type { RuleVerdict } from './verdict.ts';

/** Lines that a verdict tells of: whoever signs them could write hundreds, */
const SHOWN = 4;
/** and each as long as the file may be. */
const CUT = 200;

export interface SummaryInput {
  readonly evidence: EvidenceVerdict;
  readonly signers: Signers;
  readonly now: Instant;
}

/**
 * Judges one rule. That the envelope is signed (step 1) and that a subject is this artifact (step 2) is
 * what makes a statement one of `evidence`; the other steps are here.
 */
export function judgeSummary(name: string, rule: SummaryRule, input: SummaryInput): RuleVerdict {
  const { evidence, signers } = input;
  const keys = new Map<string, PublicKey>();
  const good: string[] = [];
  const faults: string[] = [];
  // Step 3.
  const all = evidence.statements.filter(
    ({ statement }) => statement.predicateType === PREDICATE_TYPES.vsa,
  );
  for (const signed of all) {
    const claim = parseSummaryClaim(signed.statement.predicate);
    const [fault, by] = judgeOne(signed, claim, rule, input);
    if (fault !== undefined) {
      faults.push(`line ${signed.line}: ${fault}`);
      continue;
    }
    for (const key of by) keys.set(keyIdentity(key), key);
    good.push(`line ${signed.line}, ${cut(claim.verifier)}, ${levelsOf(claim)}${at(claim)}`);
  }
  const holds = keys.size >= rule.least;
  const by = good.length === 0 ? [] : [`by ${signers.names(keys.values())}`];
  const shown = [...good.slice(0, SHOWN), ...by, ...(holds ? [] : faults.slice(0, SHOWN))];
  return {
    rule: name,
    holds,
    what: `${keys.size} of the ${rule.least} signatures that are demanded under a summary that says ${rule.levels.join(', ')}`,
    evidence: all.length === 0 ? 'there is no verification summary' : shown.join('; '),
    reason: 'summary',
  };
}

const cut = (text: string): string => (text.length > CUT ? `${text.slice(0, CUT)}…` : text);

const levelsOf = ({ levels }: SummaryClaim): string => cut(levels.join(' '));

const at = ({ time }: SummaryClaim): string =>
  time === undefined ? '' : `, of ${formatInstant(time)}`;

/** What is wrong with a summary, or the keys by which it counts. */
function judgeOne(
  { keys }: SignedStatement,
  claim: SummaryClaim,
  rule: SummaryRule,
  { evidence, signers, now }: SummaryInput,
): readonly [fault: string] | readonly [fault: undefined, by: readonly PublicKey[]] {
  const { verifier, time, resourceUri, result, levels } = claim;
  // Step 4: a verifier's word is its own when it is signed by a key that may speak for it.
  const named = rule.verifiers.filter(({ id }) => id === verifier);
  if (named.length === 0)
    return [`the verifier ${cut(verifier)} is not one of those that are named`];
  const by = signers.among(
    keys,
    named.flatMap((one) => one.signers),
  );
  if (by.length === 0)
    return [`signed by ${signers.names(keys)}, who does not speak for ${cut(verifier)}`];
  // Step 5.
  const expected = expectedResource(rule, evidence.artifact);
  if (resourceUri !== expected)
    return [`it is about ${cut(resourceUri)}, and expected is ${expected}`];
  // Step 6.
  if (result !== 'PASSED') return [`it says ${result}`];
  // Step 7.
  const missing = rule.levels.filter((level) => !saysLevel(levels, level));
  if (missing.length > 0)
    return [`it says ${levelsOf(claim) || 'no level'}, and not ${missing.join(', ')}`];
  const late = untimely(time, rule.maxAgeDays, now);
  return late === undefined ? [undefined, by] : [late];
}

/** timeVerified is optional; where it stands it has passed, and where an age is demanded it stands. */
function untimely(
  time: Instant | undefined,
  maxAgeDays: number | undefined,
  now: Instant,
): string | undefined {
  if (time !== undefined && time > now) return `verified in the future, at ${formatInstant(time)}`;
  if (maxAgeDays === undefined) return undefined;
  if (time === undefined) return 'it does not say when it was verified';
  return now - time <= maxAgeDays * DAY
    ? undefined
    : `verified at ${formatInstant(time)}, more than ${maxAgeDays} days ago`;
}
