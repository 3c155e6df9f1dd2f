/**
 * The time floor: the latest instant at which this host is known to have lived.
 *
 * Expiry protects against freezing only as far as the clock can be believed. A clock that is set
 * back would revive what expired; so the instant at which a timestamp was last found fresh is kept,
 * and a clock that is more than the tolerance behind it is not believed. The floor is never above
 * the expiry of a timestamp that was accepted: a clock that jumped ahead once can raise it by the
 * lifetime of a timestamp at most, and the host is right again when that time has come.
 */

import { TIME_LIMITS } from '../limits.ts';
import type { Instant } from '../time.ts';

/** The present by which expiry is judged. */
export function judgedNow(clock: Instant, floor: Instant | undefined): Instant {
  return floor !== undefined && clock < floor - TIME_LIMITS.tolerance ? floor : clock;
}

/**
 * The floor after a timestamp was found fresh; the same one while it would rise by less than the
 * tolerance, so that not every refresh is a write to the disk.
 */
export function raisedTimeFloor(floor: Instant, now: Instant, expires: Instant): Instant {
  const reached = Math.min(now, expires);
  return reached > floor + TIME_LIMITS.tolerance ? reached : floor;
}
