/**
 * The ceiling of a new artifact is valid (`E_CEILING`), and what is worth a second look in it is said, to
 * the vendor and to reviewers. Advice refuses nothing: hosts narrow what is too wide.
 */

import type { EvidenceVerdict } from '../../../shared/evidence/evidence.ts';
import { parseCeiling } from '../../../shared/manifest/ceiling.ts';
import { lintCeiling } from '../../../shared/manifest/lint-ceiling.ts';

/** Characters of all advice about one ceiling. */
const MOST = 800;

export function ceiling(evidence: EvidenceVerdict): string {
  const advice = lintCeiling(parseCeiling(evidence.ceiling));
  if (advice.length === 0) return 'valid, and nothing in it is worth a second look';
  const text = advice.join('; ');
  return `valid; advice: ${text.length > MOST ? `${text.slice(0, MOST)}…` : text}`;
}
