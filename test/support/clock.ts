/** A clock that stands still until it is moved. */

import { type Clock, DAY, type Instant, parseInstant } from '../../shared/time.ts';

/** The present of most tests. */
export const TODAY: Instant = parseInstant('2030-06-01T12:00:00Z');

export class TestClock {
  now: Instant;

  constructor(now = TODAY) {
    this.now = now;
  }

  readonly read: Clock = () => this.now;

  /** Moves the clock; negative days move it back. */
  days(count: number): void {
    this.now += count * DAY;
  }
}
