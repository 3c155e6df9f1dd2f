/** Saying what is lost of a published tree: the targets that follow. Pure. */

import { IronError } from '../../shared/errors.ts';
import { canonicalText } from '../../shared/json/canonical.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import { objectMember, withFields } from '../../shared/tuf/build.ts';
import { LOST_FIELD, lostField } from '../../shared/tuf/lost.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { EXTENSION_FIELD } from '../../shared/tuf/vendors.ts';

/** The same targets that call these files lost and no others. `E_NOTHING_TO_DO`, `E_TOO_LARGE`. */
export function withLost(targets: Targets, places: Iterable<string>, expires: Instant): JsonObject {
  const { tree } = targets.envelope;
  const before = objectMember(tree, EXTENSION_FIELD);
  const others = jsonObject(Object.entries(before).filter(([name]) => name !== LOST_FIELD));
  const lost = lostField(places);
  const extension = lost.length === 0 ? others : withFields(others, { [LOST_FIELD]: lost });
  if (canonicalText(extension) === canonicalText(before))
    throw new IronError('E_NOTHING_TO_DO', 'these targets say just this already', {
      hint: 'nothing was written',
    });
  return withFields(tree, {
    [EXTENSION_FIELD]: extension,
    version: targets.version + 1,
    expires: formatInstant(expires),
  });
}
