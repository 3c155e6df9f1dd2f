/** Whether the service does what it is there for, in a form that monitors read. */

import type { HealthReply } from '../../shared/api/health.ts';
import { isIronError } from '../../shared/errors.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import { isFastForwarded } from '../publish/fast-forward.ts';
import type { CurrentTree } from '../storage/published.ts';

export interface Health {
  readonly status: 200 | 503;
  readonly document: HealthReply;
}

/** Healthy is a tree that verifies and that clients accept now; one with nothing in it yet, too. */
export async function health(current: CurrentTree, now: Instant): Promise<Health> {
  try {
    const published = await current.get();
    if (published === undefined) return answer(null, {});
    const { root, targets, snapshot, timestamp } = published;
    const files = { root, targets, snapshot, timestamp };
    const expired = Object.entries(files).find(([, { expires }]) => expires <= now)?.[0];
    const roles = Object.fromEntries(
      Object.entries(files).map(([role, { version, expires }]) => [
        role,
        { version, expires: formatInstant(expires) },
      ]),
    );
    if (isFastForwarded(published)) return answer('the online keys were stolen', roles);
    return answer(expired === undefined ? null : `${expired} has expired`, roles);
  } catch (error) {
    return answer(isIronError(error, 'E_STORE') ? 'the tree does not verify' : 'a failure', {});
  }
}

function answer(problem: string | null, roles: HealthReply['roles']): Health {
  const ok = problem === null;
  return { status: ok ? 200 : 503, document: { ok, problem, roles } };
}
