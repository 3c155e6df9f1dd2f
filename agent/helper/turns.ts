/**
 * Whose turn it is: one piece of work after another, and of one user so many that wait and no more. What a
 * user asks beyond that is refused at once, so that somebody else's is never behind more than that.
 */

import { setTimeout } from 'node:timers/promises';
import { IronError } from '../../shared/errors.ts';
import { WIRE_LIMITS } from '../../shared/limits.ts';
import { type Bucket, bucketOf } from '../broker/rate.ts';

interface Waiting {
  readonly user: number;
  begin(): void;
}

export class Turns {
  /** In the order of their coming. Owned by `run` alone. */
  readonly #waiting: Waiting[] = [];
  #isBusy = false;

  /** Does `act` when its turn comes. `E_TRY_AGAIN` when the user has enough that waits. */
  async run<T>(user: number, act: () => Promise<T>, isUrgent = false): Promise<T> {
    if (this.#isBusy) await this.#wait(user, isUrgent);
    this.#isBusy = true;
    try {
      return await act();
    } finally {
      const next = this.#waiting.shift();
      // Handed on without a moment in which nobody has it.
      if (next === undefined) this.#isBusy = false;
      else next.begin();
    }
  }

  #wait(user: number, isUrgent: boolean): Promise<void> {
    if (this.#waiting.filter((one) => one.user === user).length >= WIRE_LIMITS.waiting) {
      throw new IronError('E_TRY_AGAIN', 'too much of this user waits already', {
        why: `${WIRE_LIMITS.waiting} requests wait for their turn`,
        hint: 'nothing was changed; ask again when those are done',
      });
    }
    return new Promise((begin) => {
      if (isUrgent) this.#waiting.unshift({ user, begin });
      else this.#waiting.push({ user, begin });
    });
  }
}

/** How fast the requests of a user are begun: what comes faster waits, and delays its own user alone. */
export class Pace {
  readonly #bucket: Bucket = bucketOf(WIRE_LIMITS.perSecond, WIRE_LIMITS.burst);
  #last: Promise<void> = Promise.resolve();

  /** Ends when this request may begin; one that nobody waits for any more takes nobody's time. */
  async turn(isThere: () => boolean): Promise<void> {
    const before = this.#last;
    const mine = (async () => {
      await before;
      if (isThere()) await setTimeout(this.#bucket(performance.now()));
    })();
    this.#last = mine;
    await mine;
  }
}
