/** Saying what is lost of a published tree: the targets that follow. Pure. */

import type { JsonObject } from '../../shared/json/value.ts';
import type { Instant } from '../../shared/time.ts';
import { LOST_FIELD, lostField } from '../../shared/tuf/lost.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { withExtension } from './extension.ts';

/** The same targets that call these files lost and no others. `E_NOTHING_TO_DO`, `E_TOO_LARGE`. */
export function withLost(targets: Targets, places: Iterable<string>, expires: Instant): JsonObject {
  const lost = lostField(places);
  const value = lost.length === 0 ? undefined : lost;
  return withExtension(targets, { name: LOST_FIELD, value }, expires);
}
