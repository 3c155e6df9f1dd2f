/** How often a vendor may ask: a bucket of requests each, that fills up again at a steady pace. */

import { IronError } from '../../shared/errors.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';

interface Bucket {
  left: number;
  /** Seconds of the monotonic clock. */
  at: number;
}

export class RequestRate {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #now: () => number;
  /** By vendor; only those that the signed targets name come here, so it stays small. */
  readonly #buckets = new Map<string, Bucket>();

  /** @param now seconds of a clock that nobody sets */
  constructor(
    limits: { readonly perSecond: number; readonly burst: number } = SERVER_LIMITS.requests,
    now: () => number = () => performance.now() / 1000,
  ) {
    this.#perSecond = limits.perSecond;
    this.#burst = limits.burst;
    this.#now = now;
  }

  /** Counts a request. `E_QUOTA`, with the seconds to wait in its context. */
  take(vendor: string): void {
    const now = this.#now();
    const bucket = this.#buckets.get(vendor) ?? { left: this.#burst, at: now };
    const left = Math.min(this.#burst, bucket.left + (now - bucket.at) * this.#perSecond);
    if (left < 1) {
      this.#buckets.set(vendor, { left, at: now });
      const seconds = Math.max(1, Math.ceil((1 - left) / this.#perSecond));
      throw new IronError('E_QUOTA', `more than ${this.#perSecond} requests of a vendor a second`, {
        hint: `nothing was changed; go on in ${seconds} s, and send small files in batches`,
        context: { retry_after: seconds },
      });
    }
    this.#buckets.set(vendor, { left: left - 1, at: now });
  }
}
