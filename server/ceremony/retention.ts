/** Publishing how long bytes stay: the targets that follow. Pure. */

import type { JsonObject } from '../../shared/json/value.ts';
import type { Instant } from '../../shared/time.ts';
import { RETENTION_FIELD, type Retention, retentionField } from '../../shared/tuf/retention.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { withExtension } from './extension.ts';

/** The same targets with this window; with none when undefined. `E_NOTHING_TO_DO`. */
export function withRetention(
  targets: Targets,
  retention: Retention | undefined,
  expires: Instant,
): JsonObject {
  const value = retention === undefined ? undefined : retentionField(retention);
  return withExtension(targets, { name: RETENTION_FIELD, value }, expires);
}
