/** Publishing how long bytes stay: the targets that follow. Pure. */

import { IronError } from '../../shared/errors.ts';
import { canonicalText } from '../../shared/json/canonical.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import { objectMember, withFields } from '../../shared/tuf/build.ts';
import { RETENTION_FIELD, type Retention, retentionField } from '../../shared/tuf/retention.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { EXTENSION_FIELD } from '../../shared/tuf/vendors.ts';

/** The same targets with this window; with none when undefined. `E_NOTHING_TO_DO`. */
export function withRetention(
  targets: Targets,
  retention: Retention | undefined,
  expires: Instant,
): JsonObject {
  const { tree } = targets.envelope;
  const before = objectMember(tree, EXTENSION_FIELD);
  const others = jsonObject(Object.entries(before).filter(([name]) => name !== RETENTION_FIELD));
  const extension =
    retention === undefined
      ? others
      : withFields(others, { [RETENTION_FIELD]: retentionField(retention) });
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
