/** When the online roles are signed again: a pure function of what stands and of the time. */

import { LIFETIMES, SERVER_LIMITS } from '../../shared/limits.ts';
import type { Instant } from '../../shared/time.ts';
import { isFastForwarded } from '../publish/fast-forward.ts';
import type { Published } from '../storage/published.ts';

/**
 * Half of a lifetime before the end: a service that was down over a weekend's half still leaves
 * its readers with a timestamp that holds. And at once when one holds for longer than it may: it was
 * signed while the clock was ahead, and whoever keeps it back could show it for all that time.
 */
export function dueRenewal(
  published: Pick<Published, 'snapshot' | 'timestamp'>,
  now: Instant,
): 'snapshot' | 'timestamp' | undefined {
  for (const role of ['snapshot', 'timestamp'] as const) {
    const left = published[role].expires - now;
    if (left < LIFETIMES[role] / 2 || left > LIFETIMES[role] + SERVER_LIMITS.clockSkewSeconds)
      return role;
  }
  return undefined;
}

/**
 * Whether only the operators can go on: an offline role has expired, or the online keys were
 * stolen. Then vendors wait until the operators have signed, instead of being refused for it. The
 * same when nobody renewed the revocations.
 * @param revocations until when the list of revocations holds, where there is one
 */
export function isBlocked(
  published: Pick<Published, 'root' | 'targets' | 'snapshot' | 'timestamp'>,
  now: Instant,
  revocations: Instant = Number.POSITIVE_INFINITY,
): boolean {
  const until = Math.min(published.root.expires, published.targets.expires, revocations);
  return until <= now || isFastForwarded(published);
}
