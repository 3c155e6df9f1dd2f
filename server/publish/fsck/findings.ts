/** What a check of a tree found; whatever it refuses on its way is one finding more. */

import { asIronError, isIronError } from '../../../shared/errors.ts';
import { LOST_LIMITS } from '../../../shared/limits.ts';

export interface Finding {
  /** Tree path, or `tree`. */
  readonly at: string;
  readonly what: string;
}

export class Findings {
  /** Owned by the one check that made it, which adds to it in the order of its looking. */
  readonly all: Finding[] = [];

  /** Places that lack and no reader is sent to, also those that were said to be lost: so many at the most. */
  readonly missing = new Set<string>();

  /** Notes what lacks; whether it was said to be lost, so that it is no finding. */
  lacks(place: string, lost: ReadonlySet<string>): boolean {
    if (this.missing.size <= LOST_LIMITS.places) this.missing.add(place);
    return lost.has(place);
  }

  add(at: string, what: string): void {
    this.all.push({ at, what });
  }

  /** Runs `act`; what it refuses is a finding. */
  async guard<T>(at: string, act: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      if (!isIronError(error) || error.code === 'E_INTERNAL') throw asIronError(error);
      const why = error.why === undefined ? '' : `: ${error.why}`;
      this.add(at, `${error.code}: ${error.message}${why}`);
      return undefined;
    }
  }
}
