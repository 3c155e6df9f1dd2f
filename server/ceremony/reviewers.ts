/** Naming the reviewers: the targets that follow. Pure. */

import { IronError } from '../../shared/errors.ts';
import { canonicalText } from '../../shared/json/canonical.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import { objectMember, withFields } from '../../shared/tuf/build.ts';
import { REVIEWERS_FIELD, type Reviewers, reviewersField } from '../../shared/tuf/reviewers.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { EXTENSION_FIELD } from '../../shared/tuf/vendors.ts';

/** The same targets with these reviewers and no others; with none when undefined. `E_NOTHING_TO_DO`. */
export function withReviewers(
  targets: Targets,
  reviewers: Reviewers | undefined,
  expires: Instant,
): JsonObject {
  const { tree } = targets.envelope;
  const before = objectMember(tree, EXTENSION_FIELD);
  const others = jsonObject(Object.entries(before).filter(([name]) => name !== REVIEWERS_FIELD));
  const extension =
    reviewers === undefined
      ? others
      : withFields(others, { [REVIEWERS_FIELD]: reviewersField(reviewers) });
  if (canonicalText(extension) === canonicalText(before))
    throw new IronError('E_NOTHING_TO_DO', 'these targets name just these reviewers already', {
      hint: 'nothing was written',
    });
  return withFields(tree, {
    [EXTENSION_FIELD]: extension,
    version: targets.version + 1,
    expires: formatInstant(expires),
  });
}
