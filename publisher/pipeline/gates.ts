/** What stands between a pattern and its use: is it for this, and did somebody look at it? */

import { IronError } from '../../shared/errors.ts';
import { type Metadata, UNKNOWN_METADATA } from './pattern/pattern.ts';

/** Below this, a pattern that wants review is not applied. */
export const ENOUGH_CONFIDENCE = 0.75;

export interface Wanted {
  readonly linuxVersion?: string | undefined;
  readonly driverFamily?: string | undefined;
  /** Apply although nobody reviewed it. Does not make a pattern fit another kernel. */
  readonly force: boolean;
}

/** Throws `E_POLICY` when the pattern may not be applied; says whether that took `--force`. */
export function assertApplicable(metadata: Metadata, wanted: Wanted): { readonly forced: boolean } {
  assertFits('linux_version', metadata.linuxVersion, wanted.linuxVersion);
  assertFits('driver_family', metadata.driverFamily, wanted.driverFamily);
  const needsReview = metadata.reviewRequired && metadata.confidence < ENOUGH_CONFIDENCE;
  if (needsReview && !wanted.force) {
    throw new IronError('E_POLICY', 'the pattern wants to be reviewed before it is applied', {
      why: `review_required is true and its confidence is ${metadata.confidence}, below ${ENOUGH_CONFIDENCE}`,
      hint: 'nothing was written; read the mapping, then set review_required = false or a higher confidence, or give --force',
      context: { gate: 'review', confidence: metadata.confidence },
    });
  }
  return { forced: needsReview };
}

function assertFits(field: string, is: string, wanted: string | undefined): void {
  if (wanted === undefined || is === UNKNOWN_METADATA || is === wanted) return;
  throw new IronError('E_POLICY', `the pattern is for ${field} ${is}, not ${wanted}`, {
    why: 'calls change their names and meaning between kernels and families',
    hint: 'nothing was written; use the pattern that was made for it. --force does not change this',
    context: { gate: field, is, wanted },
  });
}
