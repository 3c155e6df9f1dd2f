/** What keeps a repository from being taken over, in words, and all of it at once. */

import { IronError, isIronError } from '../../shared/errors.ts';

export interface Obstacle {
  /** A role, or a target path. */
  readonly at: string;
  readonly what: string;
}

/** How many are said in an error; a dry run says all. */
const SAID = 5;

export class Obstacles {
  readonly list: Obstacle[] = [];

  found(at: string, what: string): void {
    this.list.push({ at, what });
  }

  /** Runs `act`; what it refuses is an obstacle. */
  async guard<T>(at: string, act: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      if (!isIronError(error) || !isAboutContent(error)) throw error;
      const { code, message, why } = error;
      this.found(at, `${code}: ${message}${why === undefined ? '' : `: ${why}`}`);
      return undefined;
    }
  }

  /** `E_POLICY` when there are any. */
  demandNone(): void {
    if (this.list.length === 0) return;
    const said = this.list.slice(0, SAID).map(({ at, what }) => `${at}: ${what}`);
    const more = this.list.length - said.length;
    throw new IronError('E_POLICY', 'this repository cannot be taken over as it is', {
      why: [...said, ...(more > 0 ? [`and ${more} more`] : [])].join('; '),
      hint: 'nothing was written; `--dry-run` lists all of it. Change it with the tools that made the repository, publish there, and import then',
      context: { obstacles: this.list.length },
    });
  }
}

/** Faults of the way there and of this machine say nothing about the repository. */
function isAboutContent(error: IronError): boolean {
  return !isIronError(
    error,
    ...(['E_INTERNAL', 'E_IO', 'E_NO_SPACE', 'E_NETWORK', 'E_SLOW', 'E_CANCELLED'] as const),
  );
}
