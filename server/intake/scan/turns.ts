/** Turns at something that takes long: of each vendor one at a time, and of all only so many. */

import { IronError } from '../../../shared/errors.ts';

export interface TurnLimits {
  /** Side by side, of different vendors. */
  readonly atOnce: number;
  /** Of one vendor, the one that has its turn among them. */
  readonly waiting: number;
  readonly waitSeconds: number;
}

interface Waiting {
  readonly vendor: string;
  readonly begin: () => void;
}

export class Turns {
  readonly #limits: TurnLimits;
  /** In the order in which they came. Owned, like the other two, by one turn of the event loop. */
  readonly #line: Waiting[] = [];
  readonly #busy = new Set<string>();
  readonly #count = new Map<string, number>();

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** `E_TRY_AGAIN` when too many of this vendor wait, or none got a turn in time; `E_CANCELLED`. */
  async take<T>(vendor: string, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    const count = this.#count.get(vendor) ?? 0;
    if (count >= this.#limits.waiting)
      throw new IronError('E_TRY_AGAIN', `${count} submissions of ${vendor} wait for the scanner`, {
        hint: 'nothing was changed; hand this one in when they are through',
      });
    this.#count.set(vendor, count + 1);
    try {
      await this.#turn(vendor, signal);
      try {
        return await act();
      } finally {
        this.#busy.delete(vendor);
        this.#next();
      }
    } finally {
      const left = (this.#count.get(vendor) ?? 1) - 1;
      if (left === 0) this.#count.delete(vendor);
      else this.#count.set(vendor, left);
    }
  }

  #turn(vendor: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (error: IronError): void => {
        const at = this.#line.indexOf(one);
        if (at === -1) return;
        this.#line.splice(at, 1);
        clearTimeout(timer);
        signal.removeEventListener('abort', onStop);
        reject(error);
      };
      const onStop = (): void =>
        leave(new IronError('E_CANCELLED', 'the service is stopping, and looks at nothing more'));
      const timer = setTimeout(
        () =>
          leave(
            new IronError('E_TRY_AGAIN', 'the scanner had no time for this submission', {
              why: `others were before it for ${this.#limits.waitSeconds} s`,
              hint: 'nothing was changed; hand it in again later',
            }),
          ),
        this.#limits.waitSeconds * 1000,
      );
      const one: Waiting = {
        vendor,
        begin: () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', onStop);
          resolve();
        },
      };
      this.#line.push(one);
      signal.addEventListener('abort', onStop, { once: true });
      if (signal.aborted) onStop();
      else this.#next();
    });
  }

  #next(): void {
    for (let at = 0; at < this.#line.length && this.#busy.size < this.#limits.atOnce; ) {
      const one = this.#line[at] as Waiting;
      if (this.#busy.has(one.vendor)) {
        at += 1;
        continue;
      }
      this.#line.splice(at, 1);
      this.#busy.add(one.vendor);
      one.begin();
    }
  }
}
