/** What a check says: which promise is broken, where, and how. */

import { type IronError, isIronError } from '../../../shared/errors.ts';

/** What kind of promise is broken. */
export const KINDS = [
  'workflow',
  'version',
  'changed',
  'snapshot',
  'expiry',
  'consistent-snapshot',
  'retention',
  'targets',
  'cors',
  'cache',
] as const;
export type Kind = (typeof KINDS)[number];

export interface CheckFinding {
  readonly kind: Kind;
  /** A path, or a role. */
  readonly at: string;
  readonly what: string;
}

export class Report {
  /** Owned by the one check that made it. */
  readonly findings: CheckFinding[] = [];

  found(kind: Kind, at: string, what: string): void {
    this.findings.push({ kind, at, what });
  }

  /** Runs `act`; what it refuses is a finding of this kind. */
  async guard<T>(kind: Kind, at: string, act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      if (!isIronError(error) || error.code === 'E_INTERNAL') throw error;
      this.found(kind, at, wordsOf(error));
      return undefined;
    }
  }
}

function wordsOf({ code, message, why }: IronError): string {
  return `${code}: ${message}${why === undefined ? '' : `: ${why}`}`;
}
