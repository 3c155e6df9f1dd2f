/**
 * Time that only the clock here says has passed. The service signs the snapshot again while the one
 * before it holds, so that a history without gaps bears out every day of it. Where a snapshot was
 * signed after the one before it had expired, the service stood still, or its clock went ahead: the
 * files say the same of both, and whoever renews by a wrong clock signs what that clock says. So
 * what lies between counts for nothing; what a clock wins that is ahead is less than a snapshot's life.
 */

import { LIFETIMES } from '../../shared/limits.ts';
import type { Instant } from '../../shared/time.ts';

export class Gaps {
  /** By expiry of a snapshot, the seconds that nothing bore out before it. */
  readonly #before = new Map<Instant, number>();
  #all = 0;

  /** @param expiries of every snapshot, in the order of their versions */
  constructor(expiries: readonly Instant[]) {
    let last: Instant | undefined;
    for (const expires of expiries) {
      const step = last === undefined ? 0 : expires - last;
      if (step > LIFETIMES.snapshot) this.#all += step;
      // A clock that was put back takes back what it had gone ahead.
      else if (step < 0) this.#all = Math.max(0, this.#all + step);
      this.#before.set(expires, Math.min(this.#all, this.#before.get(expires) ?? this.#all));
      last = expires;
    }
  }

  /** Seconds that nothing bears out since a snapshot that expired then; of none, all there are. */
  since(expires: Instant): number {
    return Math.max(0, this.#all - (this.#before.get(expires) ?? 0));
  }
}
