/** What a check of a tree found; whatever it refuses on its way is one finding more. */

import { asIronError, isIronError } from '../../../shared/errors.ts';

export interface Finding {
  /** Tree path, or `tree`. */
  readonly at: string;
  readonly what: string;
}

export class Findings {
  /** Owned by the one check that made it, which adds to it in the order of its looking. */
  readonly all: Finding[] = [];

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
