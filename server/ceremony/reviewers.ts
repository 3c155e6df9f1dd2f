/** Naming the reviewers: the targets that follow. Pure. */

import type { JsonObject } from '../../shared/json/value.ts';
import type { Instant } from '../../shared/time.ts';
import { REVIEWERS_FIELD, type Reviewers, reviewersField } from '../../shared/tuf/reviewers.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { withExtension } from './extension.ts';

/** The same targets with these reviewers and no others; with none when undefined. `E_NOTHING_TO_DO`. */
export function withReviewers(
  targets: Targets,
  reviewers: Reviewers | undefined,
  expires: Instant,
): JsonObject {
  const value = reviewers === undefined ? undefined : reviewersField(reviewers);
  const already = 'these targets name just these reviewers already';
  return withExtension(targets, { name: REVIEWERS_FIELD, value }, expires, already);
}
