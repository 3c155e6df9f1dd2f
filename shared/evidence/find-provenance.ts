/**
 * The provenances in a bundle that count: signed by an evidence key of the vendor, about these
 * bytes. When none counts, the refusal is about the line that came nearest, and its `why` says
 * something about each.
 */

import { keyIdentity, type PublicKey } from '../crypto/key.ts';
import { PREDICATE_TYPES } from './identifiers.ts';
import { type Provenance, parseProvenance } from './provenance.ts';
import { refusal } from './refusal.ts';
import type { PassedLine, ReadStatements } from './statements.ts';

export interface FoundProvenance {
  readonly line: number;
  readonly provenance: Provenance;
  /** The distinct keys of the vendor that signed it. */
  readonly keys: readonly PublicKey[];
}

interface Passed {
  readonly line: number;
  readonly reason: keyof typeof REFUSALS;
  readonly why: string;
}

/** Nearest first. A line with another predicate is the farthest: it is just about something else. */
const REFUSALS = {
  subject: 'the provenance is about another artifact',
  signer: 'no statement is signed by an evidence key of the vendor',
  unreadable: 'a signed statement cannot be read',
  'predicate-type': 'the vendor signed statements, but none is a SLSA provenance v1',
  'payload-type': 'no envelope holds an in-toto statement',
} as const;

/**
 * At least one. Throws `E_EVIDENCE`, with one of the reasons above, or `missing` for a bundle
 * without lines. `keys` are those that the vendor's role lists.
 */
export function findProvenances(
  { about, passed }: ReadStatements,
  keys: readonly PublicKey[],
): readonly [FoundProvenance, ...FoundProvenance[]] {
  const vendor = new Set(keys.map(keyIdentity));
  const own = (signed: readonly PublicKey[]): PublicKey[] =>
    signed.filter((key) => vendor.has(keyIdentity(key)));
  const found: FoundProvenance[] = [];
  const not: Passed[] = passed.map((line) => passedOver(line, own(line.keys).length > 0));
  for (const { line, statement, keys: signed } of about) {
    const { predicateType, predicate } = statement;
    // in-toto validation.md: the predicate type is compared exactly.
    if (predicateType !== PREDICATE_TYPES.provenance) {
      const why = `the predicate type is ${JSON.stringify(predicateType)}`;
      not.push({ line, reason: 'predicate-type', why });
    } else if (own(signed).length === 0) {
      not.push({ line, reason: 'signer', why: 'signed, but by no evidence key of the vendor' });
    } else {
      found.push({ line, provenance: parseProvenance(predicate), keys: own(signed) });
    }
  }
  const [first, ...more] = found;
  if (first !== undefined) return [first, ...more];
  throw nothingFound(not);
}

function passedOver({ line, reason, why, predicateType }: PassedLine, isOwn: boolean): Passed {
  if (predicateType !== undefined && predicateType !== PREDICATE_TYPES.provenance) {
    const type = JSON.stringify(predicateType);
    return { line, reason: 'predicate-type', why: `the predicate type is ${type}` };
  }
  const isVouchedFor = isOwn || reason === 'payload-type';
  return { line, reason: isVouchedFor ? reason : 'signer', why };
}

function nothingFound(passed: readonly Passed[]): Error {
  const reasons = Object.keys(REFUSALS) as (keyof typeof REFUSALS)[];
  const reason = reasons.find((candidate) => passed.some((line) => line.reason === candidate));
  // Nothing verified is a failure, also when nothing was there to verify.
  if (reason === undefined)
    return refusal('statements', 'missing', 'there is no provenance of the artifact');
  const inOrder = [...passed].sort((a, b) => a.line - b.line);
  const shown = inOrder.slice(0, 4).map(({ line, why }) => `line ${line}: ${why}`);
  if (passed.length > shown.length) shown.push(`and ${passed.length - shown.length} more`);
  return refusal('statements', reason, REFUSALS[reason], { why: shown.join('; ') });
}
