/**
 * The ceiling of a new artifact is valid (`E_CEILING`), and what is worth a second look in it is said, to
 * the vendor and to reviewers. Advice refuses nothing: hosts narrow what is too wide.
 */

import type { EvidenceVerdict } from '../../../shared/evidence/evidence.ts';
import { type Ceiling, parseCeiling } from '../../../shared/manifest/ceiling.ts';
import { lintCeiling } from '../../../shared/manifest/lint-ceiling.ts';

/** Characters of all advice about one ceiling. */
const MOST = 800;

/** By verdict: three ask for the ceiling of each. */
const read = new WeakMap<EvidenceVerdict, Ceiling>();

/** The ceiling that the evidence holds. `E_CEILING`. */
export function ceilingOf(evidence: EvidenceVerdict): Ceiling {
  const known = read.get(evidence);
  if (known !== undefined) return known;
  const parsed = parseCeiling(evidence.ceiling);
  read.set(evidence, parsed);
  return parsed;
}

export function ceiling(evidence: EvidenceVerdict): string {
  const advice = lintCeiling(ceilingOf(evidence));
  if (advice.length === 0) return 'valid, and nothing in it is worth a second look';
  const text = advice.join('; ');
  return `valid; advice: ${text.length > MOST ? `${text.slice(0, MOST)}…` : text}`;
}
